// Owns how a simulated node's status reaches Consul: coalesced as the puller does it, late, lost or overtaken on the way.
import type { NodeStatus } from '#fleet/node-status.ts'
import { writeStatus } from '#fleet/wire.ts'
import type { World } from './world.ts'

/** Consul ends a session after this much silence, and at most after twice that. */
const TTL_MS = 15_000
const COALESCE_MS = 500
const AGAIN_FLOOR_MS = 240_000
const AGAIN_SPREAD_MS = 120_000

export class Voice {
  readonly #world: World
  readonly #key: string
  readonly #status: () => NodeStatus
  readonly #gist: () => string
  #session: string | null = null
  #said = ''
  #due = false
  /** When the last status on its way arrives: without a fault none overtakes another. */
  #arrivesMs = 0
  #version = 0
  /** No way to Consul, or nobody to speak. */
  #mute = false

  constructor(world: World, key: string, status: () => NodeStatus, gist: () => string) {
    this.#world = world
    this.#key = key
    this.#status = status
    this.#gist = gist
  }

  /** Its session lives: the conductor does not take it for silent. */
  get heard(): boolean {
    return this.#session !== null && this.#world.records.get(this.#key)?.session === this.#session
  }

  get session(): string | null {
    return this.#session
  }

  /** Something may be new. @param urgent it came to rest: a rollout waits for this */
  poke(urgent: boolean): void {
    if (this.#mute || this.#due || this.#gist() === this.#said) return
    this.#due = true
    this.#world.timeline.after(urgent ? 0 : COALESCE_MS, () => this.#speak())
  }

  #speak(): void {
    this.#due = false
    if (this.#mute) return
    const { timeline, ways } = this.#world
    this.#said = this.#gist()
    const bytes = writeStatus(this.#status())
    const way = ways.status()
    const waitMs = way.mayOvertake ? way.ms : Math.max(way.ms, this.#arrivesMs - timeline.now)
    this.#arrivesMs = Math.max(this.#arrivesMs, timeline.now + waitMs)
    timeline.after(waitMs, () => this.#arrive(bytes, way.lost))
    this.#version += 1
    const version = this.#version
    const againMs = AGAIN_FLOOR_MS + AGAIN_SPREAD_MS * this.#world.dice.next()
    timeline.after(againMs, () => {
      if (version === this.#version) this.again()
    })
  }

  /** Says it again, even if nothing is new. */
  again(): void {
    this.#said = ''
    this.poke(true)
  }

  #arrive(bytes: Uint8Array, lost: boolean): void {
    const { records, timeline, dice } = this.#world
    if (this.#mute) return
    if (lost) {
      timeline.after(dice.between(500, 20_000), () => this.again())
      return
    }
    if (this.#session === null || !records.isSessionAlive(this.#session)) this.#session = records.createSession()
    const refused = records.transact([{ verb: 'lock', key: this.#key, value: bytes, session: this.#session }])
    if (refused.length === 0) this.#world.told()
    // The session of before still stands at the key after a restore: it ends by its time.
    else timeline.after(TTL_MS, () => this.again())
  }

  /** Says no more; the session ends by its time. */
  hush(): void {
    this.#mute = true
    const { timeline, dice, records } = this.#world
    const session = this.#session
    timeline.after(dice.between(TTL_MS, 2 * TTL_MS), () => {
      if (!this.#mute || session === null || session !== this.#session) return
      records.endSession(session)
      this.#world.told()
    })
  }

  speakAgain(): void {
    this.#mute = false
    this.again()
  }
}
