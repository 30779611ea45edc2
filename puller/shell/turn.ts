// Owns the last questions before a node leaves `staged`: is it pinned, and is it its wave's turn for a bare order.
import { describeError, isFleetError } from '#fleet/errors.ts'
import type { Clock, Logger, Pin, Pins } from '#fleet/ports.ts'
import { bareWave } from '#fleet/target.ts'
import type { NodeState } from '../core/state.ts'

/** Longest wait for an answer about the pin: a rollback must not hang on a Consul that is away. */
const PIN_LIMIT_MS = 3_000

export interface TurnOptions {
  readonly bareWaveSeconds: number
  /** Between two swaps by bare orders; a rollback is never held by it, nor any record. */
  readonly minSecondsBetweenBareSwaps: number
}

export interface TurnWorld {
  readonly pins: Pins
  readonly clock: Clock
  readonly log: Logger
}

export interface Turns {
  /** Null: go. Else why the node must stay as it is. */
  ask(state: NodeState, signal: AbortSignal): Promise<string | null>
  /** A swap happened. */
  swapped(state: NodeState): void
}

export function openTurns(options: TurnOptions, world: TurnWorld): Turns {
  const { pins, clock, log } = world
  let lastPin: Pin | null = null
  let lastBareSwapMs: number | null = null
  /** When each bare order was first met: its waves are counted from there. */
  let met: { index: number; atMs: number } | null = null

  async function pinNow(signal: AbortSignal): Promise<Pin | null> {
    try {
      lastPin = await pins.read(AbortSignal.any([signal, AbortSignal.timeout(PIN_LIMIT_MS)]))
    } catch (error) {
      signal.throwIfAborted()
      if (isFleetError(error) || isTimeout(error)) {
        log.warn('pin could not be read', { detail: `${describeError(error)}; going by what was known before` })
      } else throw error
    }
    return lastPin
  }

  async function bareTurn(state: NodeState, signal: AbortSignal): Promise<void> {
    const { order, previous } = state
    if (order === null || !order.bare) return
    if (met?.index !== order.modifyIndex) met = { index: order.modifyIndex, atMs: clock.monotonic() }
    const waveMs = state.hot === null ? 0 : bareWave(order.place) * options.bareWaveSeconds * 1_000
    const goesBack = previous?.build === order.target.build
    const guardMs =
      lastBareSwapMs === null || goesBack ? 0 : lastBareSwapMs + options.minSecondsBetweenBareSwaps * 1_000
    const waitMs = Math.max(met.atMs + waveMs, guardMs) - clock.monotonic()
    if (waitMs <= 0) return
    log.info('waiting for the wave of a bare order', { build: order.target.build, waitMs: Math.round(waitMs) })
    await clock.sleep(waitMs, signal)
  }

  return {
    async ask(state, signal) {
      // An operator on the node outranks a pin from afar.
      if (state.stand?.manual) return null
      await bareTurn(state, signal)
      const pin = await pinNow(signal)
      if (pin === null) return null
      const until = pin.expires === null ? '' : ` until ${pin.expires}`
      return `pinned by ${pin.by}${until}: ${pin.reason}; keeping ${state.hot?.build ?? 'nothing'}`
    },
    swapped(state) {
      if (state.order?.bare) lastBareSwapMs = clock.monotonic()
    },
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError'
}
