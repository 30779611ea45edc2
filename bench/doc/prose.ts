// Owns what docs/performance.md says besides figures: how it was measured, how to do it again, and why what does not hold does not.

export const HOW = `Every figure is of one run on one machine and worth something only beside the others of the same table: others ran in turn with ours
(A B C A B C …), each after a \`sync -f\`, on a warm page cache, and the medians are of all rounds. State is restored outside of the timed
part. Raw samples, versions and facts of the machine are in \`bench/results\`.

\`\`\`sh
npm run bench                            # everything, about 45 minutes and 50 GB below --dir; wants a machine of its own
npm run bench -- full-20k change-20k     # some of it; the other results stay as they are
npm run bench -- --quick                 # tiny sizes, one round: shows that it works
npm run bench:doc                        # prints this page from bench/results
\`\`\`

\`.ci/components bench\` installs the others (apt: rsync, casync, Capistrano, ssh, git; into \`.cache\`: desync, Consul, and rsync 3.2.7,
since the rsync 3.5 of Debian's security suite is several times slower and would flatter us). The change of 60,000 files is measured with
\`--without casync,desync\`: their trees would push the others' out of the page cache, which is to be warm.`

export const TREES = `**The trees.** Files of log-normal sizes (most a few KiB, a few of megabytes, one large one), up to eight directories deep, 12 % of them
incompressible (images, fonts), the rest text that zstd packs to about a third. **The 1 %** is drawn uniformly anew for each round: at
60,000 files 400 rewritten, 100 appended to, 50 added, 50 removed, the 100 MB file patched in three places, five paths that change their
type (file, link, directory); at 20,000 a third of that and a file of 20 MB.`

/** By the order of a promise: why it does not hold. Shown only where it does not. */
export const REASONS: Readonly<Record<number, string>> = {
  10: `1.4 s of processor time in 0.8 to 1.0 s, in a process that has just started; both cores are busy most of it. By marks in the program:
asking for the delta, reading its head and splicing the new manifest 0.17 s, while two threads start; reading the new manifest and finding the
users of cold until 0.33 s; then the change itself is brought beside the tree until 0.60 s, as long as its 100 MB file takes: the content of an inode is
never modified, so that file is copied, hashed and written whole, by one thread since SHA-256 goes from its first byte to its last; all
63,000 paths of cold are looked at meanwhile, 0.31 s of processor time; unsealing and 1,100 renames 0.06 s; \`syncfs\` 0.13 s, the facts of what changed and a list
of 600 directories beside it; the seal 0.02 s. rsync's time has neither proof nor sync in it. A tenth of it is less than the look at cold and
that one file take together: it could be had by believing cold unseen and by patching the file in place`,
  20: `as above: rsync into cold patches the large file where it lies, and without proof, record or sync`,
  50: `small files share frames of about 64 KiB, so 1 % of the files brings 29 MB of frames in some 490 requests to ask for, decompress and cut: 0.5 s in
which both cores are busy, the server's process included. The rest is what it costs by delta. It is the fallback: publish writes a delta for
each build that a ring runs`,
  60: `0.27 s pass before the first file is written: two threads start and compile, the manifest is fetched and read, directories and links are made;
then 1.0 s of writing, in which both cores are busy, and 0.45 s of \`syncfs\`, with the record taken and all names counted beside it. tar starts at
once and proves nothing. At 60,000 files that start is nothing; to deal the directories out to both threads gained nothing either`,
  61: `a profile of one of the two threads that write: making files 34 %, writing 26 %, SHA-256 13 %, decompressing 11 %. tar makes the same files
without a digest of each, and decompresses in a process of its own. Ours is proven, durable, recorded and sealed by then`,
  90: `what is left above a waiting puller's 72 MiB are V8's pages of three threads (41), malloc's arena (10), the manifest with its columns (13) and
frames on their way (12)`,
  91: `just started a puller has 72 MiB. What a large staging leaves is mostly not heap but pages of malloc that are not given back`,
}

/** What was done to make it fast, and what was tried without a gain. Milliseconds are medians of runs in turn on one machine. */
export const TRIED = `What helped last (60,000 files, 1 GB):

- The look at all of cold goes on while the manifest is on its way, and is believed for five seconds; facts of what changed are taken while the disk
  writes; one thread reads both manifests, so that the second is read by warm code; manifests that the threads have read are not read again for the
  pieces of large files: 1 % by delta 840 → 800 ms, by ranges 1,500 → 1,250 ms.
- The first full staging reads the artifact on as many connections as there are threads, cut where no file crosses. Before, a large file kept its
  thread busy, and the others waited behind it for a quarter of the time: 6,100 → 5,600 ms. Directories are made with their last mode: 100 ms less.
- Publishing compresses on threads of its own: 18.8 → 10.2 s (\`docs/decisions/0025\`).
- What differs is brought beside the tree while all of cold is looked at: the thread that has the large file to make and the one that looks no longer
  wait for each other. In turn runs of a slower day 1,010 → 840 ms by delta.
- Columns of manifests are kept, beside their digest, so that what lies on a node is not read line by line again: 1,465 → 1,350 ms by ranges,
  nothing by delta, where the new manifest is then read by cold code.
- Shared frames of 64 KiB instead of 128: 29 MB fetched by ranges instead of 44, 1,436 → 1,340 ms, for an artifact that is 1.3 % larger. Of 36 KiB:
  21 MB and 1,283 ms, but 2 % larger, and the first full staging takes 80 MiB more memory.
- Frames are handed to a thread 128 KiB at a time in a full staging, 256 KiB raw in a publish, instead of one by one: 20,000 files in
  0.97 × instead of 1.05 × of \`curl | tar\` in turn runs of the two alone; in the bench casync and desync stand between.

What did not:

- The large file written out (\`fdatasync\`) as soon as it is made, while others are still at work: 895 → 1,022 ms, each commit of the journal stops
  whoever makes files.
- Two or eight requests at once for ranges instead of four: 1,359 and 1,283 ms instead of 1,310, within the noise.
- \`sync -f\` every 100, 400 or 1,000 ms while files are written, so that less is left for the end: 5,600 to 6,700 ms instead of 5,700. Both cores
  are busy, and each commit of the journal stops whoever makes files.
- Fewer, longer requests where frames are fetched by ranges (gaps of 192 or 512 KiB read over instead of 64): 1,250 and 1,320 ms instead of 1,260.
- V8 without TurboFan in the staging process (the launcher does so for memory): no difference beyond the noise.
- A process that has staged before, its threads ended since: 660 to 970 ms by delta, no better than one that has just started: it is the threads'
  code that is cold.
- Copying the unchanged parts of a large file in the kernel takes 30 ms for 100 MB, but its bytes are read for the digest anyway (75 ms), and both
  at once would be two threads at one file of a build in a thousand.
- \`lstat\` below the tree as working directory: 2.6 µs instead of 3.1 a path, but the working directory is one for all threads.`
