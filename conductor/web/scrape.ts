// Owns one scrape: what is looked at for it, and that two scrapes at once do not look twice.
import type { Picture } from '#conductor/core/picture.ts'
import type { HistoryReader } from '#conductor/shell/read-history.ts'
import { describeError } from '#fleet/errors.ts'
import type { Logger } from '#fleet/ports.ts'
import type { Exposition } from './routes.ts'

export interface Scraped extends Exposition {
  view(picture: Picture): void
}

export interface Sources {
  picture(signal: AbortSignal): Promise<Picture>
  readonly history: HistoryReader
  readonly log: Logger
}

/** Prometheus gives up after ten seconds by default, and a text that is a little old is better than none. */
const LOOK_LIMIT_MS = 4_000

/** The metrics, with the view and the history looked at anew for each scrape; what cannot be read stays as it was. */
export function scraped(metrics: Scraped, { picture, history, log }: Sources, signal: AbortSignal): Exposition {
  let looking: Promise<void> | null = null
  async function look(): Promise<void> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LOOK_LIMIT_MS)])
    try {
      metrics.view(await picture(limit))
      await history.catchUp(limit)
    } catch (error) {
      log.debug('not all was read for a scrape', { error: describeError(error) })
    } finally {
      looking = null
    }
  }
  return {
    contentType: metrics.contentType,
    async metrics() {
      looking ??= look()
      await looking
      return await metrics.metrics()
    },
  }
}
