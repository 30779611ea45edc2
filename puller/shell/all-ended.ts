// Owns waiting for all of several things that go on at once, also when one has failed: none goes on behind the back of whoever mends that.

/** As `Promise.all`, but rejects only once all have ended. @throws what failed, the first of the list */
export async function allEnded<const values extends readonly unknown[]>(
  works: values,
): Promise<{ -readonly [at in keyof values]: Awaited<values[at]> }> {
  await Promise.allSettled(works)
  return (await Promise.all(works)) as { -readonly [at in keyof values]: Awaited<values[at]> }
}
