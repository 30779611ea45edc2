// Owns `npm run bench:doc`: writes docs/performance.md.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RESULTS, readResults } from '#bench/kit/result.ts'
import { PAGE, performancePage } from './page.ts'

writeFileSync(join(import.meta.dirname, '../..', PAGE), performancePage(readResults(RESULTS)))
