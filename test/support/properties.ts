// Owns fast-check as the tests use it: from one seed, so that a run of the suite is no lottery, and from others to search further.
import fc from 'fast-check'

const asked = process.env.HOTCOLD_PROPERTY_SEED

/** `HOTCOLD_PROPERTY_SEED=random npm test` searches anew in each file, `HOTCOLD_PROPERTY_SEED=7` repeats such a search; a failure prints its own seed. */
if (asked !== 'random') fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(asked ?? 20_261_125) })

export { fc }
