// Owns the port to whatever keeps the figures that gates ask for.

/** One point of a range query. */
export interface MetricPoint {
  readonly atMs: number
  readonly value: number
}

/**
 * A metrics store that speaks PromQL. Values may be NaN or infinite, and an answer may be empty: what that means is for the reader.
 * @throws FleetError `METRICS_UNREACHABLE` · `METRICS_STALLED` (no whole answer within `timeoutMs`) · `METRICS_DENIED` · `METRICS_BAD_QUERY`
 * · `METRICS_BAD_ANSWER` · `METRICS_PARTIAL` (it answered with warnings: something is missing); the signal's reason
 */
export interface Metrics {
  /** The value of every series now, or at `atMs` (milliseconds since 1970). */
  instant(
    query: string,
    options: { readonly atMs: number | null; readonly timeoutMs: number },
    signal: AbortSignal,
  ): Promise<readonly number[]>
  /** The points of every series between two moments, both included. */
  range(
    query: string,
    options: { readonly fromMs: number; readonly toMs: number; readonly stepMs: number; readonly timeoutMs: number },
    signal: AbortSignal,
  ): Promise<readonly (readonly MetricPoint[])[]>
}
