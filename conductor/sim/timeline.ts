// Owns virtual time: what happens when, in one order for one seed, and processes that sleep in it.

/** Returns a promise only where a process runs: whoever turns the time waits until it sleeps again. */
export type Happening = () => void | Promise<void>

/** A heap by time, then by the order of asking: events of one moment happen as they were asked for. */
export class Timeline {
  #now: number
  #asked = 0
  readonly #heap: { readonly at: number; readonly order: number; readonly happen: Happening }[] = []
  happened = 0

  /** @param startMs milliseconds since 1970 */
  constructor(startMs: number) {
    this.#now = startMs
  }

  get now(): number {
    return this.#now
  }

  after(ms: number, happen: Happening): void {
    this.#asked += 1
    const event = { at: this.#now + Math.max(0, Math.round(ms)), order: this.#asked, happen }
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || !comesBefore(event, parent)) break
      heap[at] = parent
      at = above
    }
    heap[at] = event
  }

  #take() {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      const [one, other] = [heap[left], heap[left + 1]]
      if (one === undefined) break
      const right = other !== undefined && comesBefore(other, one)
      const child = right ? other : one
      if (!comesBefore(child, last)) break
      heap[at] = child
      at = right ? left + 1 : left
    }
    heap[at] = last
    return first
  }

  /** Lets one event after the other happen until `isOver` says so. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const event = this.#take()
      if (event === undefined) return
      this.#now = event.at
      this.happened += 1
      const running = event.happen()
      if (running !== undefined) await running
    }
  }
}

function comesBefore(one: { at: number; order: number }, other: { at: number; order: number }): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}

/** One thread of a program in virtual time. It may die or be frozen wherever it sleeps, and nowhere else. */
export class Process {
  readonly #timeline: Timeline
  #parked = Promise.withResolvers<void>()
  #alive = false
  #frozenUntilMs = 0
  #sleeping: { readonly resolve: () => void; readonly light: boolean; readonly token: number } | null = null
  #tokens = 0

  constructor(timeline: Timeline) {
    this.#timeline = timeline
  }

  get alive(): boolean {
    return this.#alive
  }

  /** Runs until it first sleeps. @param failed hears what it threw */
  start(work: () => Promise<void>, failed: (error: unknown) => void): Promise<void> {
    this.#alive = true
    const ended = (): void => {
      this.#alive = false
      this.#parked.resolve()
    }
    work().catch(failed).then(ended)
    return this.#parked.promise
  }

  sleep(ms: number): Promise<void> {
    return this.#park(ms, false)
  }

  /** A sleep that `wake` cuts short. */
  doze(ms: number): Promise<void> {
    return this.#park(ms, true)
  }

  #park(ms: number, light: boolean): Promise<void> {
    this.#tokens += 1
    const token = this.#tokens
    return new Promise((resolve) => {
      this.#sleeping = { resolve, light, token }
      this.#timeline.after(ms, () => this.#rise(token))
      this.#parked.resolve()
    })
  }

  /** Whoever dozes goes on in `ms`; one that is being woken already is not woken twice. */
  wake(ms: number): void {
    const dozing = this.#sleeping
    if (dozing === null || !dozing.light) return
    this.#sleeping = { ...dozing, light: false }
    this.#timeline.after(ms, () => this.#rise(dozing.token))
  }

  #rise(token: number): void | Promise<void> {
    if (!this.#alive || this.#sleeping?.token !== token) return
    const lateMs = this.#frozenUntilMs - this.#timeline.now
    if (lateMs > 0) return this.#timeline.after(lateMs, () => this.#rise(token))
    const { resolve } = this.#sleeping
    this.#sleeping = null
    this.#parked = Promise.withResolvers()
    resolve()
    return this.#parked.promise
  }

  /** As SIGSTOP and SIGCONT do. */
  freeze(ms: number): void {
    this.#frozenUntilMs = Math.max(this.#frozenUntilMs, this.#timeline.now + ms)
  }

  kill(): void {
    this.#alive = false
  }

  /** From the inside: nothing after this ever happens. */
  die(): Promise<never> {
    this.#alive = false
    this.#parked.resolve()
    return new Promise(() => undefined)
  }
}
