// Owns `npm run test:rollouts`: 40 pullers on a real Consul through the four stories of a rollout, with their figures.
import { type TestContext, test } from 'node:test'
import { begin } from './scene.ts'
import { erringBuild, type Figures, goodBuild, silentNode, unhealthyBuild } from './stories.ts'

const SIZES = { staging: 3, dogfood: 3, canary: 4, production: 30 }

function show(story: string, figures: Figures): void {
  const words = Object.entries(figures).map(([what, value]) => `${what} ${value}`)
  process.stdout.write(`${story}: ${words.join(', ')}\n`)
}

test('40 pullers on a real Consul', async (t: TestContext) => {
  const scene = await begin(t, SIZES, 'first')
  await t.test('a good build goes through all stages', async () => show('good', await goodBuild(scene, 'good')))
  await t.test('a build that is not healthy in production meets at most 10 % of it', async () =>
    show('unhealthy', await unhealthyBuild(scene, 'unhealthy', 'good')),
  )
  await t.test('a build that fails its pages is caught at canary', async () =>
    show('erring', await erringBuild(scene, 'erring', 'good')),
  )
  await t.test('a silent node is named and waited for, until somebody waives it', async () =>
    show('silent', await silentNode(scene, 'later')),
  )
  show('polled', { answers: scene.poll.answers })
})
