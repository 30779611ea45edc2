// Owns what the load proof proves: the sentences for which a run fails, and the figures it prints.
import type { Findings } from './course.ts'
import { ratesOf, tookAt } from './tally.ts'

/** What the control must show at least, or the load could not have found a mixed page in the other run either. */
const CONTROL_SHARE = 0.01

/** All requests have their answer, each node counted the swaps that were ordered, and requests went on during each. */
function unsound({ course, load, swaps, counted, balancer }: Findings): readonly string[] {
  const said: string[] = []
  if (load.open > 0) said.push(`${load.open} requests were never answered`)
  if (load.sent !== load.served + load.mixed + load.failed + load.open) said.push('the counts do not add up')
  if (swaps.length !== course.swaps) said.push(`${swaps.length} swaps were seen, not ${course.swaps}`)
  if (counted.swapped !== course.swaps) said.push(`the pullers counted ${counted.swapped} swaps, not ${course.swaps}`)
  if (counted.reverted + counted.failed > 0) {
    said.push(`${counted.reverted} swaps were reverted, ${counted.failed} failed`)
  }
  const still = swaps.filter(({ answered }) => answered === 0)
  if (still.length > 0) said.push(`no request was answered during ${still.length} of the swaps`)
  if (load.failed > 0) said.push(`${load.failed} requests failed (${load.why.join('; ')})`)
  // What HAProxy hid from its clients would be a failure all the same.
  if (balancer.retried > 0) said.push(`HAProxy sent ${balancer.retried} requests once more`)
  if (balancer.broken > 0) said.push(`HAProxy counted ${balancer.broken} broken connections or answers`)
  const pages = load.served + load.mixed
  if (balancer.answers['2xx'] !== pages) {
    said.push(`HAProxy gave ${balancer.answers['2xx']} answers with status 200, the load got ${pages}`)
  }
  return said
}

/** The reasons why a drained run proves nothing, or the opposite; none when it kept the promise. */
export function broken(findings: Findings): readonly string[] {
  const { course, load } = findings
  const said = [...unsound(findings)]
  if (load.mixed > 0) said.push(`${load.mixed} pages mixed two builds (${load.why.join('; ')})`)
  if (load.met > 0) said.push(`${load.met} pages were in work while the link moved`)
  if (findings.waited === 0) said.push('no drain ever found a request in work: nothing was put to the test')
  const turns = Object.values(load.nodes).reduce((sum, node) => sum + node.turns, 0)
  if (turns !== course.swaps) said.push(`the pages changed their build ${turns} times in ${course.swaps} swaps`)
  return said
}

/** The reasons why a control run shows nothing. @param share of all requests that must be mixed at least */
export function toothless(findings: Findings, share = CONTROL_SHARE): readonly string[] {
  const { load } = findings
  const said = [...unsound(findings)]
  if (load.mixed === 0 || load.mixed < share * load.sent)
    said.push(`only ${percent(load.mixed, load.sent)} of the pages were mixed`)
  if (load.mixed > load.met) said.push(`${load.mixed} pages were mixed, but only ${load.met} met a swap`)
  return said
}

export function percent(part: number, whole: number): string {
  return `${((part * 100) / Math.max(1, whole)).toFixed(2)} %`
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? 0
}

/** The figures of a run, a line each. */
export function figures(findings: Findings): readonly string[] {
  const { course, load, swaps, counted, waited, balancer, ms } = findings
  const { average, lowest } = ratesOf(load)
  // A machine that is too busy for the rate proves less than was asked for, and nobody should have to work that out.
  const reached = average < 0.95 * course.perSecond ? ` (the rate of ${course.perSecond} WAS NOT REACHED)` : ''
  const took = swaps.map((swap) => swap.ms)
  const { answers } = balancer
  const others = Object.entries(answers).flatMap(([of, count]) =>
    of === '2xx' || count === 0 ? [] : [`${count} ${of}`],
  )
  return [
    `${counted.swapped} swaps on ${course.nodes} nodes in ${(ms / 1_000).toFixed(1)} s; median ${Math.round(median(took))} ms, longest ${Math.round(Math.max(...took))} ms from order to in service`,
    `${load.sent} requests: ${load.served} served, ${load.failed} failed, ${load.mixed} mixed`,
    `answered a second: ${Math.round(average)} on the average, ${lowest} in the lowest${reached}; fewest answers during a swap: ${Math.min(...swaps.map(({ answered }) => answered))}`,
    `answers took: p50 ${tookAt(load, 0.5)} ms, p99 ${tookAt(load, 0.99)} ms, p99.9 ${tookAt(load, 0.999)} ms, longest ${tookAt(load, 1)} ms`,
    `pages in work while the link moved: ${load.met} (${percent(load.met, load.sent)} of all), of them mixed: ${percent(load.mixed, load.met)}`,
    `pages mixed: ${percent(load.mixed, load.sent)} of all`,
    `drains that found requests in work: ${waited} of ${counted.swapped}`,
    `HAProxy: ${answers['2xx']} 2xx${others.map((other) => `, ${other}`).join('')}; ${balancer.broken} broken, ${balancer.retried} retried, ${balancer.refused} refused, ${balancer.failedChecks} failed checks`,
  ]
}
