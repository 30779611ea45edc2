// Owns what docs/performance.md says besides figures: how it was measured, how to do it again, and why what does not hold does not.

export const HOW = `Every figure is of one run on one machine and worth something only beside the others of the same table: others ran in turn with ours
(A B C A B C …), each after a \`sync -f\`, on a warm page cache, and the medians are of all rounds. State is restored outside of the timed
part. Raw samples, versions and facts of the machine are in \`bench/results\`.

\`\`\`sh
npm run bench                            # everything, about 20 minutes and 50 GB below --dir; wants a machine of its own
npm run bench -- full-20k change-20k     # some of it; the other results stay as they are
npm run bench -- --quick                 # tiny sizes, one round: shows that it works
npm run bench:doc                        # prints this page from bench/results
\`\`\`

\`.ci/components bench\` installs the others (apt: rsync, casync, Capistrano, ssh, git; into \`.cache\`: desync, Consul, and rsync 3.2.7,
since the rsync 3.5 of Debian's security suite is several times slower and would flatter us).`

export const TREES = `**The trees.** Files of log-normal sizes (most a few KiB, a few of megabytes, one large one), up to eight directories deep, 12 % of them
incompressible (images, fonts), the rest text that zstd packs to about a third. **The 1 %** is drawn uniformly anew for each round: at
60,000 files 400 rewritten, 100 appended to, 50 added, 50 removed, the 100 MB file patched in three places, five paths that change their
type (file, link, directory); at 20,000 a third of that and a file of 20 MB.`

/** By the order of a promise: why it does not hold. Shown only where it does not. */
export const REASONS: Readonly<Record<number, string>> = {}
