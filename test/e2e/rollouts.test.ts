// Owns the suite's slice of the rollouts end to end: ten pullers and one bad build; `npm run test:rollouts` is the whole, with 40.
import { type TestContext, test } from 'node:test'
import { begin } from '#test/rollouts/scene.ts'
import { unhealthyBuild } from '#test/rollouts/stories.ts'

const SIZES = { staging: 1, dogfood: 1, canary: 1, production: 7 }

test('a build that is not healthy in production is rolled back, and at most 10 % of production ever answered with it', async (t: TestContext) => {
  const scene = await begin(t, SIZES, 'good')
  await unhealthyBuild(scene, 'unhealthy', 'good')
})
