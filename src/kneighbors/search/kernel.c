/* Products of codes with queries, and what reaches a threshold: the part of the search that looks at
 * every row. `kernel.py` says what the arrays are; `scripts/kernel` builds the library beside this
 * file. No function of the C library is used, nothing is allocated, and sums are of integers, so that
 * the results are those of any other way to multiply them.
 *
 * Codes lie in groups of 32 rows; in a group, two columns at a time, row after row. One instruction
 * then multiplies two columns of eight rows, and all of memory is read in its order. */

#define __MM_MALLOC_H /* Needs the C library. */
#include <cpuid.h>
#include <immintrin.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))
#define AVX2 __attribute__((target("avx2")))
/* Codes are fetched so many bytes ahead: what the processor does by itself ends at each page. */
enum { GROUP = 32, PIECE = 512, LANE = 8, AHEAD = 2048 };

/* The SHA-256 of this file, which a test compares: the library was built from what lies beside it. */
EXPORT const char kneighbors_source[] = SOURCE;

/* Whether the processor, and the system, can do what the functions need. */
EXPORT int32_t kneighbors_is_usable(void)
{
    uint32_t a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 6) != 6)
        return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}

static AVX2 inline __m256i products(__m256i numbers, const int8_t *codes)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)codes);
    return _mm256_madd_epi16(numbers, _mm256_cvtepi8_epi16(bytes));
}

/* Multiply the rows of one piece with one query; note the largest of every eighth row. */
static AVX2 void multiply(const int8_t *codes, const int32_t *query, int64_t n_pairs, int32_t *out,
                          int32_t *maxima)
{
    __m256i most = _mm256_set1_epi32(INT32_MIN);
    for (int row = 0; row < PIECE; row += GROUP) {
        __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0;
        for (int64_t pair = 0; pair < n_pairs; pair++, codes += 2 * GROUP) {
            __m256i numbers = _mm256_set1_epi32(query[pair]);
            _mm_prefetch((const char *)codes + AHEAD, _MM_HINT_NTA);
            s0 = _mm256_add_epi32(s0, products(numbers, codes));
            s1 = _mm256_add_epi32(s1, products(numbers, codes + 16));
            s2 = _mm256_add_epi32(s2, products(numbers, codes + 32));
            s3 = _mm256_add_epi32(s3, products(numbers, codes + 48));
        }
        __m256i *to = (__m256i *)(out + row);
        _mm256_storeu_si256(to, s0);
        _mm256_storeu_si256(to + 1, s1);
        _mm256_storeu_si256(to + 2, s2);
        _mm256_storeu_si256(to + 3, s3);
        s0 = _mm256_max_epi32(_mm256_max_epi32(s0, s1), _mm256_max_epi32(s2, s3));
        most = _mm256_max_epi32(most, s0);
    }
    _mm256_storeu_si256((__m256i *)maxima, most);
}

/* Codes (n_pieces, 512 / 32, n_pairs, 32, 2), queries (n_queries, n_pairs * 2);
 * bounds (n_pieces, n_queries, 512), maxima (n_pieces, n_queries, 8). */
EXPORT void kneighbors_multiply(const int8_t *codes, int64_t n_pieces, int64_t n_pairs,
                                const int16_t *queries, int64_t n_queries, int32_t *bounds,
                                int32_t *maxima)
{
    for (int64_t piece = 0; piece < n_pieces; piece++) {
        for (int64_t query = 0; query < n_queries; query++) {
            multiply(codes, (const int32_t *)(queries + query * n_pairs * 2), n_pairs, bounds, maxima);
            bounds += PIECE;
            maxima += LANE;
        }
        codes += PIECE * n_pairs * 2;
    }
}

/* Write the queries and rows whose bounds are not below their thresholds, up to `capacity` of them;
 * return how many there are. Maxima are at least those of the bounds. */
EXPORT AVX2 int64_t kneighbors_reaching(const int32_t *bounds, const int32_t *maxima,
                                        int64_t n_pieces, int64_t n_queries,
                                        const int32_t *thresholds, int64_t *queries, int64_t *rows,
                                        int64_t capacity)
{
    int64_t count = 0;
    for (int64_t piece = 0; piece < n_pieces; piece++) {
        for (int64_t query = 0; query < n_queries; query++, bounds += PIECE, maxima += LANE) {
            __m256i least = _mm256_set1_epi32(thresholds[query]);
            __m256i most = _mm256_loadu_si256((const __m256i *)maxima);
            if (_mm256_movemask_epi8(_mm256_cmpgt_epi32(least, most)) == -1)
                continue;
            for (int row = 0; row < PIECE; row += LANE) {
                __m256i bound = _mm256_loadu_si256((const __m256i *)(bounds + row));
                __m256 below = _mm256_castsi256_ps(_mm256_cmpgt_epi32(least, bound));
                for (int left = ~_mm256_movemask_ps(below) & 255; left; left &= left - 1) {
                    if (count < capacity) {
                        queries[count] = query;
                        rows[count] = piece * PIECE + row + __builtin_ctz(left);
                    }
                    count++;
                }
            }
        }
    }
    return count;
}
