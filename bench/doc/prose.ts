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
export const REASONS: Readonly<Record<number, string>> = {
  10: `where the time goes, by marks in the program over two runs of a fresh process on a tree of the same kind: asking for the delta, reading its
head and splicing the new manifest 0.20 s; reading it into columns and looking for users of cold 0.08 s; the change itself 0.35 to 0.37 s, most of
it the 100 MB file, which one thread copies, hashes and writes whole; \`syncfs\` 0.10 to 0.20 s with the look at all 63,000 paths beside it; facts
of what changed 0.03 s. In a process that has done it before, the first two cost half. rsync's time has neither proof nor sync in it. The next
things to take: hash that file by its pieces on both threads, look over while it is written, start its writing out early`,
  20: `as above: rsync into cold does the same writing, without proof, record or sync`,
  50: `small files share frames of about 100 KiB, so 1 % of the files brings 46 MB of frames to fetch, decompress and cut (0.9 s of the time), and two
manifests are read and compared (0.3 s). It is the fallback: publish writes a delta for each build that a ring runs`,
  61: `a profile of one of the two threads that write: making files 34 %, writing 26 %, SHA-256 13 %, decompressing 11 %, collecting garbage 9 % (that
last is gone since buffers are let go of by hand). tar makes the same files without a digest of each, and decompresses in a process of its own. Ours
is proven, durable, recorded and sealed by then`,
  90: `what is left above a waiting puller's 72 MiB are V8's pages of three threads (41), malloc's arena (10), the manifest with its columns (13) and
frames on their way (12)`,
  91: `just started a puller has 72 MiB. What a large staging leaves is mostly not heap but pages of malloc that are not given back`,
}
