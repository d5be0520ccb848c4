/* The hardware's attention for training, forward and backward, for some key heads one after another.
 *
 * Tokens come in blocks of `rows`, the slots of a sub-tile. Every pair of a block of queries and a
 * block of keys before it is computed where it stays in the cache: nothing of the size of all pairs
 * is ever stored, and the backward pass computes scores and pulses anew (FlashAttention, Dao et al.
 * 2022). `ml/attention/fast.py` gives the leakage of a pair as
 *
 *     charge(query place t, cell place j) = sum_r places[r][t] * sum_p mix[apart][r][p][j] * x^p,
 *
 * x the cell's deviation from the asymptote, so that a pair costs one product for each rank r. With
 * the ranks in falling weight, products may use the first few: the forward pass `ranks`, the pulses
 * of the backward pass `pulse_ranks`, gradients `gradient_ranks`.
 *
 * Compiled for `real` float or double and vectors of VECTOR_BYTES; rows and dim are multiples of
 * TALL and of the numbers in a vector.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef real vec __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));
enum { LANES = VECTOR_BYTES / sizeof(real), TALL = 4, WIDE = 4 };
#define INLINE static inline __attribute__((always_inline))

typedef struct {
    long blocks, group, rows, dim, laps;              /* laps: sub-tiles of the window */
    long powers, ranks, pulse_ranks, gradient_ranks;  /* powers: of x, from 0 on */
    double step_v, asymptote_v, width_max, count_max, leak;
    const real *places;       /* [rank][row] */
    const real *k_mix, *v_mix; /* [apart 0 ... laps][rank][power][row]; scores of 1 at full scale, counts */
} Plan;

/* Codes of one key head in blocks, and of the queries of its group. */
typedef struct {
    const real *q;   /* [block][group][row][dim] */
    const real *k, *v; /* [block][row][dim] */
    const real *k_turned, *v_turned; /* [block][dim][row] */
} Codes;

/* A block of queries with the block of keys `apart` blocks before it. */
typedef struct {
    real *score, *phi; /* [group * row][row] */
} Pair;

typedef struct {
    real *queries; /* [rank][group * row][dim], times their places' factor */
    Pair pairs[2];
    real *placed, *charge, *gradient, *cells, *cell_gradient;
} Space;

/* c[TALL][vecs * LANES] (+)= a b, a by strides, b and c rows of `width`. */
INLINE void panel(int vecs, long depth, const real *a, long a_row, long a_step, const real *b,
                  long width, real *c, int add)
{
    vec sum[TALL][WIDE];
#pragma GCC unroll 4
    for (int i = 0; i < TALL; i++)
#pragma GCC unroll 4
        for (int j = 0; j < vecs; j++)
            sum[i][j] = add ? *(const vec *)(c + i * width + j * LANES) : (vec){0};
    for (long n = 0; n < depth; n++)
#pragma GCC unroll 4
        for (int j = 0; j < vecs; j++) {
            vec x = *(const vec *)(b + n * width + j * LANES);
#pragma GCC unroll 4
            for (int i = 0; i < TALL; i++)
                sum[i][j] += a[i * a_row + n * a_step] * x;
        }
#pragma GCC unroll 4
    for (int i = 0; i < TALL; i++)
#pragma GCC unroll 4
        for (int j = 0; j < vecs; j++)
            *(vec *)(c + i * width + j * LANES) = sum[i][j];
}

/* c[height][width] (+)= a[height][depth] b[depth][width]; a_row, a_step: strides of a. */
static void multiply(long height, long width, long depth, const real *a, long a_row, long a_step,
                     const real *b, real *c, int add)
{
    long done = 0;
    for (; done + WIDE * LANES <= width; done += WIDE * LANES)
        for (long i = 0; i < height; i += TALL)
            panel(WIDE, depth, a + i * a_row, a_row, a_step, b + done, width,
                  c + i * width + done, add);
    for (; done < width; done += LANES)
        for (long i = 0; i < height; i += TALL)
            panel(1, depth, a + i * a_row, a_row, a_step, b + done, width, c + i * width + done,
                  add);
}

/* Charge of one rank of a block of cells, [row][dim]. */
INLINE void cells_of(const Plan *plan, long powers, const real *mix, const real *codes, real *out)
{
    real step = plan->step_v, asymptote = plan->asymptote_v;
    for (long j = 0; j < plan->rows; j++)
        for (long d = 0; d < plan->dim; d += LANES) {
            vec x = *(const vec *)(codes + j * plan->dim + d) * step - asymptote, y = {0};
            for (long p = powers - 1; p >= 0; p--)
                y = y * x + mix[p * plan->rows + j];
            *(vec *)(out + j * plan->dim + d) = y;
        }
}

/* The same, [dim][row]. */
INLINE void turned_cells_of(const Plan *plan, long powers, const real *mix, const real *codes,
                            real *out)
{
    real step = plan->step_v, asymptote = plan->asymptote_v;
    for (long d = 0; d < plan->dim; d++)
        for (long j = 0; j < plan->rows; j += LANES) {
            vec x = *(const vec *)(codes + d * plan->rows + j) * step - asymptote, y = {0};
            for (long p = powers - 1; p >= 0; p--)
                y = y * x + *(const vec *)(mix + p * plan->rows + j);
            *(vec *)(out + d * plan->rows + j) = y;
        }
}

/* Gradient of the codes, [row][dim], from that of the charge of one rank. */
INLINE void code_gradient(const Plan *plan, long powers, const real *mix, const real *codes,
                          const real *gradient, real *out)
{
    real step = plan->step_v, asymptote = plan->asymptote_v;
    for (long j = 0; j < plan->rows; j++)
        for (long d = 0; d < plan->dim; d += LANES) {
            long at = j * plan->dim + d;
            vec x = *(const vec *)(codes + at) * step - asymptote, y = {0};
            for (long p = powers - 1; p >= 1; p--)
                y = y * x + p * mix[p * plan->rows + j];
            *(vec *)(out + at) += *(const vec *)(gradient + at) * y * step;
        }
}

/* Loops over the powers are unrolled for the cubic and the linear cell. */
#define FOR_POWERS(function, plan, ...)                                     \
    ((plan)->powers == 4   ? function(plan, 4, __VA_ARGS__)                 \
     : (plan)->powers == 2 ? function(plan, 2, __VA_ARGS__)                 \
                           : function(plan, (plan)->powers, __VA_ARGS__))

static const real *mix_of(const Plan *plan, const real *mix, long apart, long rank)
{
    return mix + (apart * plan->ranks + rank) * plan->powers * plan->rows;
}

/* out[group * row][width] (+)= x times the rank's factor of each row's place. */
static void place(const Plan *plan, long rank, long width, const real *x, real *out, int add)
{
    for (long i = 0; i < plan->group * plan->rows; i++) {
        real factor = plan->places[rank * plan->rows + i % plan->rows];
        for (long n = 0; n < width; n++)
            out[i * width + n] = (add ? out[i * width + n] : 0) + factor * x[i * width + n];
    }
}

/* Zero what queries do not see of keys that are overwritten while they come: of the new lap what
 * is behind the query's own slot, of the old lap the rest. */
static void mask(const Plan *plan, long apart, real *x)
{
    if (apart != 0 && apart != plan->laps)
        return;
    for (long i = 0; i < plan->group * plan->rows; i++) {
        long own = i % plan->rows + 1;
        real *row = x + i * plan->rows;
        if (apart == 0)
            memset(row + own, 0, (plan->rows - own) * sizeof(real));
        else
            memset(row, 0, own * sizeof(real));
    }
}

static void queries_of(const Plan *plan, long ranks, const real *q, Space *space)
{
    long size = plan->group * plan->rows * plan->dim;
    for (long r = 0; r < ranks; r++)
        place(plan, r, plan->dim, q, space->queries + r * size, 0);
}

/* Charge in counts of one pair, added to space->charge or put there; keeps scores and pulses. */
static void add_charge(const Plan *plan, long ranks, const Codes *codes, long block, long apart,
                       Space *space, Pair *pair, int add)
{
    long height = plan->group * plan->rows, cells = plan->rows * plan->dim;
    long keys = (block - apart) * cells, queries = height * plan->dim;
    for (long r = 0; r < ranks; r++) {
        FOR_POWERS(turned_cells_of, plan, mix_of(plan, plan->k_mix, apart, r),
                   codes->k_turned + keys, space->cells);
        multiply(height, plan->rows, plan->dim, space->queries + r * queries, plan->dim, 1,
                 space->cells, pair->score, r > 0);
    }
    for (long i = 0; i < height * plan->rows; i++) {
        real s = pair->score[i];
        pair->phi[i] = s < 0 ? 0 : s > 1 ? 1 : s;
    }
    mask(plan, apart, pair->phi);
    for (long r = 0; r < ranks; r++) {
        FOR_POWERS(cells_of, plan, mix_of(plan, plan->v_mix, apart, r), codes->v + keys,
                   space->cells);
        place(plan, r, plan->rows, pair->phi, space->placed, 0);
        multiply(height, plan->dim, plan->rows, space->placed, plan->rows, 1, space->cells,
                 space->charge, add || r > 0);
    }
}

/* Charge of the sub-tile that holds the keys `apart` blocks before the queries; while it is
 * written it holds two laps. Returns how many pairs that were. */
static int subtile_charge(const Plan *plan, long ranks, const Codes *codes, long block, long apart,
                          Space *space)
{
    add_charge(plan, ranks, codes, block, apart, space, &space->pairs[0], 0);
    if (apart != 0 || block < plan->laps)
        return 1;
    add_charge(plan, ranks, codes, block, plan->laps, space, &space->pairs[1], 1);
    return 2;
}

static void add_counts(const Plan *plan, const real *charge, real *out)
{
    real width_max = plan->width_max, count_max = plan->count_max;
    for (long i = 0; i < plan->group * plan->rows * plan->dim; i++) {
        real width = charge[i] < 0 ? -charge[i] : charge[i];
        width = width > width_max ? width_max : width;
        real count = (real)(int)(width + (real)0.5);
        count = count > count_max ? count_max : count;
        out[i] += charge[i] < 0 ? -count : count;
    }
}

/* Gradient of the charge: straight through the count, `leak` of it for each limit that holds. */
static void count_gradient(const Plan *plan, const real *charge, const real *dout, real *out)
{
    real width_max = plan->width_max, full = plan->count_max + 0.5, leak = plan->leak;
    for (long i = 0; i < plan->group * plan->rows * plan->dim; i++) {
        real width = charge[i] < 0 ? -charge[i] : charge[i];
        real kept = width > width_max ? width_max : width;
        real slope = (width > width_max ? leak : 1) * (kept >= full ? leak : 1);
        out[i] = dout[i] * (width > 0 ? slope : 0);
    }
}

/* Gradients of a pair from that of its charge, space->gradient. */
static void add_gradients(const Plan *plan, const Codes *codes, long block, long apart,
                          Space *space, Pair *pair, real *dq, real *dk, real *dv)
{
    long height = plan->group * plan->rows, cells = plan->rows * plan->dim;
    long keys = (block - apart) * cells, queries = height * plan->dim;
    real *dphi = space->placed + queries;
    for (long r = 0; r < plan->gradient_ranks; r++) {
        const real *mix = mix_of(plan, plan->v_mix, apart, r);
        place(plan, r, plan->dim, space->gradient, space->placed, 0);
        FOR_POWERS(turned_cells_of, plan, mix, codes->v_turned + keys, space->cells);
        multiply(height, plan->rows, plan->dim, space->placed, plan->dim, 1, space->cells, dphi,
                 r > 0);
        multiply(plan->rows, plan->dim, height, pair->phi, 1, plan->rows, space->placed,
                 space->cell_gradient, 0);
        FOR_POWERS(code_gradient, plan, mix, codes->v + keys, space->cell_gradient, dv + keys);
    }
    real leak = plan->leak;
    for (long i = 0; i < height * plan->rows; i++)
        dphi[i] *= pair->score[i] < 0 || pair->score[i] > 1 ? leak : 1;
    mask(plan, apart, dphi);
    for (long r = 0; r < plan->gradient_ranks; r++) {
        const real *mix = mix_of(plan, plan->k_mix, apart, r);
        multiply(plan->rows, plan->dim, height, dphi, 1, plan->rows, space->queries + r * queries,
                 space->cell_gradient, 0);
        FOR_POWERS(code_gradient, plan, mix, codes->k + keys, space->cell_gradient, dk + keys);
        FOR_POWERS(cells_of, plan, mix, codes->k + keys, space->cells);
        multiply(height, plan->dim, plan->rows, dphi, plan->rows, 1, space->cells, space->placed,
                 0);
        place(plan, r, plan->dim, space->placed, dq, 1);
    }
}

/* Work space for one head; the whole is one allocation, which `queries` holds. */
static int open_space(const Plan *plan, Space *space)
{
    long height = plan->group * plan->rows;
    long wide = height * (plan->dim > plan->rows ? plan->dim : plan->rows);
    long cells = plan->rows * plan->dim;
    long total = plan->ranks * height * plan->dim + 8 * wide + 2 * cells;
    size_t bytes = (total * sizeof(real) + 63) / 64 * 64;
    real *next = space->queries = aligned_alloc(64, bytes);
    if (!next)
        return 0;
    next += plan->ranks * height * plan->dim;
    for (int i = 0; i < 2; i++, next += 2 * wide)
        space->pairs[i] = (Pair){next, next + wide};
    space->placed = next; /* and the gradient of the pulses behind it */
    space->charge = next + 2 * wide;
    space->gradient = next + 3 * wide;
    space->cells = next + 4 * wide;
    space->cell_gradient = next + 4 * wide + cells;
    return 1;
}

static Codes codes_of(const Plan *plan, long head, const real *q, const real *k, const real *v,
                      const real *k_turned, const real *v_turned)
{
    long keys = plan->blocks * plan->rows * plan->dim, first = head * keys;
    return (Codes){q + plan->group * first, k + first, v + first, k_turned + first,
                   v_turned + first};
}

/* Output codes like q, which hold zeros, of `heads` key heads. Returns 0 for want of memory. */
int attend(const Plan *plan, long heads, const real *q, const real *k, const real *v,
           const real *k_turned, const real *v_turned, real *out)
{
    Space space;
    if (!open_space(plan, &space))
        return 0;
    long size = plan->group * plan->rows * plan->dim;
    for (long head = 0; head < heads; head++) {
        Codes codes = codes_of(plan, head, q, k, v, k_turned, v_turned);
        for (long block = 0; block < plan->blocks; block++) {
            queries_of(plan, plan->ranks, codes.q + block * size, &space);
            for (long apart = 0; apart < plan->laps && apart <= block; apart++) {
                subtile_charge(plan, plan->ranks, &codes, block, apart, &space);
                add_counts(plan, space.charge, out + (head * plan->blocks + block) * size);
            }
        }
    }
    free(space.queries);
    return 1;
}

/* Gradients like q, k and v, which hold zeros. Returns 0 for want of memory. */
int attend_backward(const Plan *plan, long heads, const real *q, const real *k, const real *v,
                    const real *k_turned, const real *v_turned, const real *dout, real *dq,
                    real *dk, real *dv)
{
    Space space;
    if (!open_space(plan, &space))
        return 0;
    long size = plan->group * plan->rows * plan->dim;
    for (long head = 0; head < heads; head++) {
        Codes codes = codes_of(plan, head, q, k, v, k_turned, v_turned);
        long keys = head * plan->blocks * plan->rows * plan->dim;
        for (long block = 0; block < plan->blocks; block++) {
            long at = (head * plan->blocks + block) * size;
            queries_of(plan, plan->pulse_ranks, q + at, &space);
            for (long apart = 0; apart < plan->laps && apart <= block; apart++) {
                int pairs =
                    subtile_charge(plan, plan->pulse_ranks, &codes, block, apart, &space);
                count_gradient(plan, space.charge, dout + at, space.gradient);
                for (int i = 0; i < pairs; i++)
                    add_gradients(plan, &codes, block, i ? plan->laps : apart, &space,
                                  &space.pairs[i], dq + at, dk + keys, dv + keys);
            }
        }
    }
    free(space.queries);
    return 1;
}
