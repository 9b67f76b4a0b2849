#include "src/cli/flags.h"

#include <string.h>

#include "src/base/problem.h"

#define AT(member) offsetof(precis_settings, member)

enum {
  GEN = PRECIS_VERB_GEN,
  RUN = PRECIS_VERB_RUN,
  CHECK = PRECIS_VERB_CHECK,
  TOPO = PRECIS_VERB_TOPO,
  BENCH = PRECIS_VERB_BENCH,
  PLAN = PRECIS_VERB_PLAN,
  SERVE = PRECIS_VERB_SERVE,
  REMOTE = PRECIS_VERB_REMOTE,
  DATA = PRECIS_VERB_DATA,
  ALL = GEN | RUN | CHECK | TOPO | BENCH | PLAN
};

/* Up to 2^48 tokens: products with rows of up to 2^28 numbers are checked where they are made. */
#define TOKENS_MOST 0x1p48

#define FLAG PRECIS_RULE_FLAG
#define TEXT PRECIS_RULE_TEXT
#define SIZE PRECIS_RULE_SIZE
#define NUMBER PRECIS_RULE_NUMBER
#define WORD PRECIS_RULE_WORD
#define LATER PRECIS_RULE_LATER

/* In the order in which help shows them. */
const precis_flag precis_flags[] = {
    {"--tokens", "N", GEN | BENCH | PLAN, SIZE, AT(shape.tokens), 1, TOKENS_MOST, 0, 0,
     "keys and values, and queries unless --queries"},
    {"--queries", "NQ", GEN | BENCH | PLAN, SIZE, AT(shape.queries), 1, TOKENS_MOST, 0, 0,
     "queries (default: N)"},
    {"--heads", "H", GEN | BENCH | PLAN | REMOTE, SIZE, AT(shape.heads), 1, PRECIS_HEADS_MAX, 0, 0,
     "query heads"},
    {"--kv-heads", "G", GEN | BENCH | PLAN | REMOTE, SIZE, AT(shape.kv_heads), 1, PRECIS_HEADS_MAX, 0, 0,
     "key/value heads; G divides H (default: H)"},
    {"--dim", "D", GEN | BENCH | PLAN | REMOTE, SIZE, AT(shape.dim), 1, PRECIS_DIM_MAX, 0, 0,
     "numbers in a query or key of one head, at most 256"},
    {"--value-dim", "DV", GEN | BENCH | PLAN | REMOTE, SIZE, AT(shape.value_dim), 1, PRECIS_DIM_MAX, 0, 0,
     "numbers in a value of one head (default: D)"},
    {"--kind", "KIND", PLAN, WORD, AT(made.kind), 0, 0, "gauss|unit", 0,
     "what scores are assumed to be: of Gaussian queries and keys (default), or of such of equal "
     "length"},
    {"--kind", "KIND", GEN, WORD, AT(made.kind), 0, 0, "gauss|unit|offset|sinks", 0,
     "gauss: all normal; unit: queries and keys of equal length; offset: gauss with a large common "
     "mean on keys and values; sinks: gauss, but the first 4 keys attract much of the weight"},
    {"--spread", "S", GEN | BENCH | PLAN, NUMBER, AT(made.spread), 0, 1e6, 0, 0,
     "scales the queries so that scores have about this standard deviation (default: 1)"},
    {"--bound", "B", PLAN, NUMBER, AT(made.bound), 1e-6, 1e6, 0, 0,
     "the largest |score| (default: as expected of so many tokens of that kind and spread)"},
    {"--ranks", "P", PLAN, SIZE, AT(paper.ranks), 1, 1 << 20, 0, 0, "of the job"},
    {"--ranks-per-node", "R", PLAN, SIZE, AT(paper.ranks_per_node), 1, 1 << 20, 0, 0,
     "that share a node (default: 1)"},
    {"--sweep", NULL, PLAN, FLAG, AT(paper.sweep), 0, 0, 0, 0,
     "instead of one plan, a table of where summaries win, and by how much: over d, the deviation "
     "of scores, the tolerance and tokens a rank. CSV, or JSON with --json"},
    {"--schedule", "RANK", PLAN, SIZE, AT(paper.schedule), 0, 1 << 20, 0, 0,
     "also print what this rank does, step by step (from 0)"},
    {"--rounds", "A..B", PLAN, PRECIS_RULE_RANGE, AT(paper.rounds), 0, 0x1p62, 0, 0,
     "with --schedule: only these rounds, all of their steps (default: the first steps; with "
     "--json all)"},
    {"--traces", "DIR", PLAN, TEXT, AT(paper.traces), 0, 0, 0, 0,
     "also write what each rank does to this folder, as time-independent traces for SimGrid's "
     "smpirun -replay; computing takes the predicted seconds on hosts of 1 Gf. See jobs/replay"},
    {"--signal", "S", GEN | BENCH | PLAN, NUMBER, AT(made.signal), 0, 1e6, 0, 0,
     "how much values follow the keys: deviation of a smooth function of the key over that of the "
     "noise (default: 2; 0: values are independent of keys)"},
    {"--seed", "S", GEN, SIZE, AT(made.seed), 0, 0x1p62, 0, 0,
     "of the random numbers (default: 0)"},
    {"--decay", "E", GEN, NUMBER, AT(made.decay), 0, 10, 0, 0,
     "variances of queries and keys decay like i^-E over axes turned at random (default: 0)"},
    {"--key-decay", "E", GEN, NUMBER, AT(made.key_decay), 0, 10, 0, 0,
     "those of keys alone, on top (default: 0)"},
    {"--heavy", "N", GEN, SIZE, AT(made.heavy), 1, TOKENS_MOST, 0, 0,
     "every N-th key is 100 times as long (default: none)"},
    {"--out", "FILE", GEN, TEXT, AT(files.out), 0, 0, 0, 0,
     "the .safetensors file to write: tensors q, k, v"},

    {"--input", "FILE", RUN | CHECK | PLAN, TEXT, AT(files.input), 0, 0, 0, 0,
     ".safetensors or .npz file with q (queries, heads, d), k (keys, kv heads, d), v (keys, kv heads, dv) "
     "and optionally bias (keys), of type F32, F16, BF16 or F64"},
    {"--q", "FILE", RUN | CHECK | PLAN, TEXT, AT(files.q), 0, 0, 0, 0,
     "queries in a .npy file, instead of --input"},
    {"--k", "FILE", RUN | CHECK | PLAN, TEXT, AT(files.k), 0, 0, 0, 0, "keys in a .npy file"},
    {"--v", "FILE", RUN | CHECK | PLAN, TEXT, AT(files.v), 0, 0, 0, 0, "values in a .npy file"},
    {"--prefix", "TEXT", RUN | CHECK | PLAN, TEXT, AT(files.prefix), 0, 0, 0, 0,
     "put before the names of tensors in --input: layers.0. for layers.0.q, layers.0.k, ..."},
    {"--q-name", "NAME", RUN | CHECK | PLAN, TEXT, AT(files.q_name), 0, 0, 0, 0,
     "of the tensor of queries in --input (default: q)"},
    {"--k-name", "NAME", RUN | CHECK | PLAN, TEXT, AT(files.k_name), 0, 0, 0, 0,
     "of the tensor of keys (default: k)"},
    {"--v-name", "NAME", RUN | CHECK | PLAN, TEXT, AT(files.v_name), 0, 0, 0, 0,
     "of the tensor of values (default: v)"},
    {"--bias-name", "NAME", RUN | CHECK, TEXT, AT(files.bias_name), 0, 0, 0, 0,
     "of the tensor of biases (default: bias, where there is one)"},
    {"--bias", "FILE", RUN | CHECK, TEXT, AT(files.bias), 0, 0, 0, 0,
     "one number a key in a .npy file, added to its scores; -inf masks the key"},
    {"--out", "FILE", RUN, TEXT, AT(files.out), 0, 0, 0, 0,
     "write the outputs: .npy (queries, heads, dv), or .safetensors with tensors out and lse"},
    {"--out", "FILE", CHECK, TEXT, AT(files.out), 0, 0, 0, 0,
     "the outputs to check, .npy or .safetensors (tensor out)"},
    {"--lse", "FILE", RUN, TEXT, AT(files.lse), 0, 0, 0, 0,
     "write the log-sum-exp of the scores, natural log: .npy (queries, heads)"},
    {"--bounds", "FILE", RUN, TEXT, AT(files.bounds), 0, 0, 0, 0,
     "write each row's own proved bound: .npy (queries, heads), or the .safetensors file of --out, "
     "which then has a tensor bounds. Of |computed - true| with every column in units of the "
     "deviation of its values; with --tol-of range in its range, the largest column; with --tol-of "
     "lse of lse"},
    {"--per-head", NULL, RUN, FLAG, AT(run.per_head), 0, 0, 0, 0, "report head by head, too"},
    {"--rows", "R", CHECK, SIZE, AT(check.rows), 1, TOKENS_MOST, 0, 0,
     "how many rows of --out to check (default: 64)"},
    {"--causal", NULL, RUN | CHECK | BENCH | PLAN | REMOTE, FLAG, AT(shape.causal), 0, 0, 0, 0,
     "a query sees the keys up to its own position; the last query stands at the last key"},
    {"--first-position", "N", RUN | CHECK, SIZE, AT(shape.first_position), 0, TOKENS_MOST, 0, 0,
     "with --causal: the queries stand at positions N, N + 1, ... instead"},
    {"--scale", "S", RUN | CHECK | REMOTE, PRECIS_RULE_FACTOR, AT(shape.scale), -1e30, 1e30, 0, 0,
     "of the products of queries and keys (default: 1/sqrt(d))"},
    {"--tol", "T", RUN | BENCH | PLAN, NUMBER, AT(want.tol), 0, 1e30, 0, 0,
     "the error allowed of every row, in the unit of --tol-of. Summaries are used where they keep "
     "it, proved for every row, and are cheaper; what they miss is computed exactly, in double "
     "where float32 does not do. 0, the default: exact, up to the rounding that the report "
     "promises"},
    {"--tol-of", "UNIT", RUN | BENCH | PLAN, WORD, AT(want.tol_of), 0, 0, "outputs|range|lse", 0,
     "the unit of --tol. outputs (default): how far a row is from what the mean query would get "
     "from "
     "the same keys, or the mean of that over all rows, whichever is more; zeros, the mean of the "
     "values or any constant have errors of about 1. range: the largest minus the smallest value "
     "of "
     "each column. lse: the log-sum-exp itself"},
    {"--tol", "T", CHECK, NUMBER, AT(want.tol), 0, 1e30, 0, 0,
     "exit with status 3 if the difference exceeds T"},
    {"--tol-of", "UNIT", CHECK, WORD, AT(want.tol_of), 0, 0, "outputs|range|lse", 0,
     "what differences are measured in. outputs (default): what a row's own query changes; range: "
     "the range of a column; lse: absolute, of the lse"},
    {"--lse", "FILE", CHECK, TEXT, AT(files.lse), 0, 0, 0, 0,
     "the log-sum-exp to check, .npy or .safetensors (tensor lse)"},
    {"--exact", NULL, RUN, FLAG, AT(want.exact), 0, 0, 0, 0, "the same as --tol 0"},
    {"--guarantee", "WORD", RUN, WORD, AT(want.guarantee), 0, 0, "bound|sampled", 0,
     "what --tol means for summaries. bound: proved for every row (default); sampled: an estimate, "
     "measured on rows that had no part in the fit"},
    {"--move", "MOVE", RUN | BENCH | PLAN, WORD, AT(want.move), 0, 0, "auto|tiles|heads|queries|summaries",
     0,
     "what travels between ranks: tiles (blocks of keys and values round a ring), heads (whole "
     "heads), queries (and partial results back), summaries (sums of polynomial features of keys "
     "and values; status 3 if they miss --tol), or auto (default): the fewest predicted seconds, "
     "summaries only where --tol allows them"},
    {"--degree", "G", RUN | BENCH | PLAN, SIZE, AT(want.degree), 1, 24, 0, 0,
     "of the polynomials of summaries (default: the cheapest that keeps --tol). Without --tol, "
     "summaries are used, and promise what the report says"},
    {"--verify", "ROWS", RUN, SIZE, AT(run.verify), 1, TOKENS_MOST, 0, 0,
     "measure the error of so many rows against double precision"},
    {"--batch-rows", "N", RUN, SIZE, AT(run.batch_rows), 1, TOKENS_MOST, 0, 0,
     "attend with so many queries at a time (default with --out: as many as take the seconds of "
     "--checkpoint-every, else all)"},
    {"--checkpoint-every", "S", RUN, NUMBER, AT(run.checkpoint_every), 0.001, 1e9, 0, 0,
     "seconds; with --out what is done is made safe about so often (default: 20), and after "
     "SIGUSR1 "
     "or SIGTERM, which end the run with status 75. The same command goes on from there"},
    {"--restart", NULL, RUN, FLAG, AT(run.restart), 0, 0, 0, 0,
     "do not go on with what an interrupted run has left of --out, start over"},
    {"--listen", "WHERE", SERVE, TEXT, AT(serve.listen), 0, 0, 0, 0,
     "ADDRESS:PORT (port 0: any that is free), or unix:PATH, a socket file for its owner alone "
     "(default: 127.0.0.1:8470)"},
    {"--data", "DIR", SERVE, TEXT, AT(serve.data), 0, 0, 0, 0,
     "a folder of all ranks in which contexts outlive the job: each append is safe on disk before "
     "it is answered. The next job may have another number of ranks (default: contexts end with "
     "the job)"},
    {"--skip-damaged", NULL, SERVE, FLAG, AT(serve.skip_damaged), 0, 0, 0, 0,
     "leave contexts of --data out that are damaged, and serve the others"},
    {"--token-file", "FILE", SERVE, TEXT, AT(serve.token_file), 0, 0, 0, 0,
     "holds tokens of which clients must send one, a line each: TOKEN [NAME [read|write] "
     "[contexts=N] [tokens=N] [bytes=N]]; is made with a new one if it is not there (default: "
     "precis.token)"},
    {"--tls-cert", "FILE", SERVE, TEXT, AT(serve.tls_cert), 0, 0, 0, 0,
     "serve https with this certificate (PEM, with those that vouch for it)"},
    {"--tls-key", "FILE", SERVE, TEXT, AT(serve.tls_key), 0, 0, 0, 0,
     "the certificate's key (PEM), a file that only its owner may read"},
    {"--url", "URL", REMOTE, TEXT, AT(remote.url), 0, 0, 0, 0,
     "of the service: http://HOST:PORT, https://HOST[:PORT][/PREFIX] or unix:PATH (default: "
     "http://127.0.0.1:8470)"},
    {"--cacert", "FILE", REMOTE, TEXT, AT(remote.cacert), 0, 0, 0, 0,
     "for https: certificates (PEM) of those who may vouch for the service (default: whom the "
     "system trusts)"},
    {"--timeout", "SECONDS", REMOTE, NUMBER, AT(remote.answer_seconds), 0.001, 1e9, 0, 0,
     "give up, with status 1, when the service is silent for so long (default: 600)"},
    {"--token-file", "FILE", REMOTE, TEXT, AT(remote.token_file), 0, 0, 0, 0,
     "the service's (default: precis.token)"},
    {"--context", "ID", REMOTE, TEXT, AT(remote.context), 0, 0, 0, 0, "as create printed it"},
    {"--context", "ID", DATA, TEXT, AT(remote.context), 0, 0, 0, 0, "to export"},
    {"--out", "FILE", DATA, TEXT, AT(files.out), 0, 0, 0, 0,
     "the .safetensors file to export to, which must not be there: tensors k, v and perhaps bias"},
    {"--input", "FILE", REMOTE, TEXT, AT(files.input), 0, 0, 0, 0,
     "to append: a .safetensors file with k (tokens, kv heads, d), v (tokens, kv heads, dv) and "
     "optionally bias (tokens); to attend: with q (queries, heads, d), or q alone as .npy"},
    {"--out", "FILE", REMOTE, TEXT, AT(files.out), 0, 0, 0, 0,
     "attend: the .safetensors file to write, tensors out and lse"},
    {"--bounds", NULL, REMOTE, FLAG, AT(remote.bounds), 0, 0, 0, 0,
     "attend: with a tensor bounds, each row's own proved bound"},
    {"--tol", "T", REMOTE, NUMBER, AT(want.tol), 0, 1e30, 0, 0,
     "create: the error allowed, in the unit of --tol-of (default: exact)"},
    {"--tol-of", "UNIT", REMOTE, WORD, AT(want.tol_of), 0, 0, "outputs|range|lse", 0,
     "create: the unit of --tol (default: outputs), as precis run has it"},
    {"--key", "KEY", REMOTE, TEXT, AT(remote.key), 0, 0, 0, 0,
     "names this request: sent again with the same key it is not done twice, another one with it "
     "is "
     "refused (create, append, fork; default: a new one)"},
    {"--log", "FORM", SERVE, WORD, AT(serve.log_form), 0, 0, "text|json|none", 0,
     "of what is said on standard error (default: text)"},
    {"--log-level", "LEVEL", SERVE, WORD, AT(serve.log_level), 0, 0, "error|warning|info|debug", 0,
     "the least urgent that is said (default: info)"},
    {"--no-token", NULL, SERVE, FLAG, AT(serve.no_token), 0, 0, 0, 0,
     "let in whoever can connect; not where other machines can"},
    {"--insecure", NULL, SERVE, FLAG, AT(serve.insecure), 0, 0, 0, 0,
     "listen to other machines also without --tls-cert: tokens and tensors can then be read on the "
     "way"},
    {"--threads", "N", RUN | TOPO | BENCH | PLAN | SERVE, SIZE, AT(machine.threads), 1, 4096, 0, 0,
     "a rank computes with (default: OpenMP's choice)"},
    {"--fast-memory", "BYTES", RUN | BENCH | TOPO, SIZE, AT(machine.fast_memory), 1024, 0x1p50, 0,
     0, "of cache that a rank owns (default: asked of the machine)"},
    {"--memory-limit", "BYTES", RUN | PLAN, SIZE, AT(machine.memory_limit), 1, 0x1p60, 0, 0,
     "that a rank may hold: its rows, and what the moves take. Smaller tiles or another move keep "
     "it"},
    {"--shared-memory", "BYTES", PLAN, SIZE, AT(machine.shared_memory), 1, 0x1p60, 0, 0,
     "that a node has for its ranks to share, in /dev/shm (default: enough). Where it is short, "
     "tiles and summaries go by messages inside nodes, too"},
    {"--memory-limit", "BYTES", SERVE, SIZE, AT(machine.memory_limit), 1, 0x1p60, 0, 0,
     "that contexts may take on a rank; what would not fit is refused (default: none)"},
    {"--contexts", "N", SERVE, SIZE, AT(serve.contexts), 1, 1 << 14, 0, 0,
     "that there may be (default: 256)"},
    {"--context-tokens", "N", SERVE, SIZE, AT(serve.context_tokens), 1, TOKENS_MOST, 0, 0,
     "that a context may have (default: 2^40)"},
    {"--query-bytes", "BYTES", SERVE, SIZE, AT(serve.query_bytes), 1024, 0x1p32, 0, 0,
     "that the queries of one attend and its results may take (default: 256Mi)"},
    {"--connections", "N", SERVE, SIZE, AT(serve.connections), 1, 1 << 14, 0, 0,
     "that may be open at once (default: 128)"},
    {"--request-seconds", "S", SERVE, NUMBER, AT(serve.request_seconds), 0.1, 1e9, 0, 0,
     "that a request may take to arrive, and its answer to be taken (default: 600)"},
    {"--repeats", "N", BENCH, SIZE, AT(bench.repeats), 1, 10000, 0, 0,
     "of each measurement: of kernels medians are shown (default: 5), of moves the fastest "
     "(default: 7)"},
    {"--machine", "FILE", RUN | BENCH | PLAN | SERVE, TEXT, AT(machine.rates), 0, 0, 0, 0,
     "predict with the rates in this file, made by precis topo --calibrate (default: nominal "
     "rates)"},
    {"--calibrate", NULL, TOPO, FLAG, AT(topo.calibrate), 0, 0, 0, 0,
     "measure links, kernels and memory, on all ranks at once; takes seconds. Needs -o"},
    {"--out", "FILE", TOPO, TEXT, AT(files.out), 0, 0, 0, 0,
     "where --calibrate writes the rates, for --machine"},
    {"--timeout", "SECONDS", ALL, NUMBER, AT(machine.timeout), 0.001, 1e9, 0, 0,
     "give up, with status 1, if the whole run takes longer"},
    {"--json", "FILE|-", RUN | TOPO | BENCH | PLAN, TEXT, AT(files.json), 0, 0, 0, 0,
     "write the report as JSON to a file, or to standard output (-) in place of the text"},
    {"--quiet", NULL, GEN | RUN | CHECK | DATA, FLAG, AT(quiet), 0, 0, 0, 0,
     "no report on standard output, no progress"},
    {"--help", NULL, ALL | SERVE | REMOTE | DATA, PRECIS_RULE_HELP, 0, 0, 0, 0, 0,
     "show this text"},
    {0}};

const precis_command precis_commands[] = {
    {"run", PRECIS_VERB_RUN, 0,
     "precis run --input FILE.safetensors | --q F.npy --k F.npy --v F.npy [--bias F.npy] [options]",
     "attend: read queries, keys and values, write outputs",
     "Computes softmax attention, out = softmax(scale q k^T + bias) v, head by head, over rows "
     "that are split evenly over all ranks. "
     "Heads of q may share heads of k and v, in equal groups.",
     NULL, "mpirun -n 4 precis run --input in.safetensors --tol 1e-2 --out out.npy --verify 64"},
    {"gen", PRECIS_VERB_GEN, 0,
     "precis gen --tokens N --heads H --dim D --kind KIND -o FILE.safetensors [options]",
     "make a file of random queries, keys and values",
     "The file is the same for any number of ranks.", NULL,
     "precis gen --tokens 1M --heads 8 --kv-heads 2 --dim 64 --kind gauss -o in.safetensors"},
    {"check", PRECIS_VERB_CHECK, 2,
     "precis check A B [--tol T]\n"
     "       precis check --input FILE.safetensors --out FILE [options]",
     "compare two outputs, or an output with double precision",
     "The first form compares two arrays of one shape (.npy, or .safetensors with a tensor out), "
     "rows x heads x columns. The second form attends again in double precision for some rows, "
     "always the first and the last. Differences are measured in what a row's own query changes: "
     "|out - reference| over max(R, |reference - m|), with m what the mean of all queries would "
     "get "
     "from the keys that the row sees, R the mean of |reference - m| over the rows that are looked "
     "at, and columns scaled by the deviations of their values; zeros, the mean of the values or "
     "any "
     "constant have an error of about 1. Two files come without values: columns are then scaled by "
     "the deviation of B's, and m is the mean of B's rows. With --tol-of range: |out - reference| "
     "over the range (largest minus smallest) of the column of values, or |a - b| over that of B's "
     "column; of a column of equal numbers, over their size.",
     NULL, "precis check --input in.safetensors --out out.npy --rows 100 --tol 1e-2"},
    {"topo", PRECIS_VERB_TOPO, 0,
     "precis topo [--json FILE|-]\n"
     "       precis topo --calibrate -o MACHINE [options]",
     "show the machine that each rank sees, or measure it",
     "Node by node: the machine, and what each rank has of it: processing units, cores, threads, "
     "NUMA nodes, fast memory. Warns of ranks that get in each other's way. With --calibrate the "
     "same job also measures what the planner "
     "predicts with; run it as jobs will run: as many ranks on a node, as many threads a rank.",
     NULL, "mpirun -n 8 precis topo --calibrate -o machine.txt"},
    {"bench", PRECIS_VERB_BENCH, 1,
     "precis bench kernels [options]\n"
     "       precis bench moves [options]\n"
     "       precis bench attend --tokens N --heads H --dim D [options]",
     "measure the kernels, the moves beside what is predicted for them, or calls of any shape",
     "kernels: the kernels of one rank on one thread, beside what cblas_sgemm reaches on 2048 x "
     "2048 "
     "matrices in the same run; repetitions of both alternate. tile is exact attention, counted as "
     "4 d flops for each query and key, without exponentials. summarise adds keys to a summary, "
     "apply multiplies queries with one: either a tile of it at a time, or the whole for a block "
     "of queries. They count 2 r (d + 1) flops for each token, r the number of features. "
     "moves: attention by each of the four moves on a few shapes, on all ranks of the job; seconds "
     "and bytes predicted with the rates of --machine, those measured, and their ratio. The "
     "fastest repetition counts. attend: calls of the shape that options tell, on Gaussian queries "
     "and keys, on all ranks of the job: the first call of a handle, and the median of later ones, "
     "beside sgemm on all ranks at once. Options of shapes and tolerances are for attend.",
     "kernels|moves|attend", "precis bench kernels --json kernels.json"},
    {"help", PRECIS_VERB_HELP, 1, "precis help [COMMAND]", "explain a command", "",
     "run|gen|check|topo|bench|plan|serve|remote|data", NULL},
    {"plan", PRECIS_VERB_PLAN, 0,
     "precis plan --tokens N --heads H --dim D --ranks P [--tol T] [options]\n"
     "       precis plan --input FILE.safetensors --ranks P [options]\n"
     "       precis plan ... --schedule RANK [--rounds A..B]\n"
     "       precis plan --sweep [options]",
     "what a run would choose and take, on paper",
     "Needs no data and no launcher: shapes are given or read from the head of a file, scores are "
     "assumed. The moves are predicted as precis run does it, for any number of ranks, with what "
     "they would take and where summaries begin to win. With --schedule, what one rank does: which "
     "bytes, from whom, to whom, when.",
     NULL, "precis plan --tokens 10M --heads 8 --dim 64 --ranks 256 --ranks-per-node 4 --tol 1e-2"},
    {"serve", PRECIS_VERB_SERVE, 0, "precis serve [options]",
     "keep contexts on the ranks and answer queries over HTTP",
     "Keys and values that are appended stay on the ranks until the job ends, queries are answered "
     "as precis run answers them. JSON for control, .safetensors for tensors; GET /openapi.json "
     "explains requests. SIGTERM to the process that is named at the start, or SIGUSR1 to mpirun, "
     "ends "
     "the job within 10 seconds: requests in flight are finished, new ones refused. SIGHUP: token "
     "and certificate are read again.",
     NULL, "mpirun -n 4 precis serve --data contexts --memory-limit 16Gi"},
    {"remote", PRECIS_VERB_REMOTE, 1,
     "precis remote create --heads H --dim D [--tol T] [options]\n"
     "       precis remote append --context ID --input FILE [options]\n"
     "       precis remote attend --context ID --input FILE --out FILE [options]\n"
     "       precis remote list | inspect | fork | delete [--context ID] [options]",
     "ask a service: make contexts, append to them, attend to them",
     "A client of precis serve. Prints what the service answers, JSON; of attend the report, with "
     "the results in a file.",
     "create|list|inspect|append|attend|fork|delete",
     "precis remote attend --context ID --input queries.safetensors --out results.safetensors"},
    {"data", PRECIS_VERB_DATA, 2,
     "precis data check DIR\n"
     "       precis data export DIR --context ID --out FILE.safetensors\n"
     "       precis data compact DIR",
     "check, export from or tidy what precis serve --data has left",
     "For a folder that no job serves. check reads all of it, names each file that is damaged, "
     "with "
     "its context and what is wrong, and fails if there is one; nothing is changed. export writes "
     "a "
     "context to one file. compact merges small segments, as a service does in time.",
     "check|export|compact",
     "precis data check contexts"},
    {0}};

const precis_command *precis_command_find(const char *name)
{
  for (const precis_command *c = precis_commands; c->name != NULL; c++)
    if (strcmp(c->name, name) == 0)
      return c;
  return NULL;
}

const precis_command *precis_command_of(precis_verb verb)
{
  for (const precis_command *c = precis_commands; c->name != NULL; c++)
    if (c->verb == verb)
      return c;
  return NULL;
}
