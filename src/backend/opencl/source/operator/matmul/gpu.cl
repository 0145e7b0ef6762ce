// Matrix products for a device of many threads: 256 items of a work group share a tile of `$B` rows and columns, each with `$N`
// times `$N` elements in registers; `$D` steps of both operands at a time lie in local memory. `$S` names the dtype, `$T` is its C type
// (unsigned for integers, which wrap), `$C` and `$G` the type in memory that is read and written, `$L` that in local memory.

// One step of all items' tiles.
void at_matmul_step_$Q_$S($T (*acc)[$N], $L *a, $L *b) {
  $T x[$N], y[$N];
  _Pragma("unroll") for (int g = 0; g < $N; g += 4) {
    const $T4 v = *($L4 *)(a + g / 4 * ($B / ($N / 4))), w = *($L4 *)(b + g / 4 * ($B / ($N / 4)));
    x[g] = v.x; x[g + 1] = v.y; x[g + 2] = v.z; x[g + 3] = v.w;
    y[g] = w.x; y[g + 1] = w.y; y[g + 2] = w.z; y[g + 3] = w.w;
  }
  _Pragma("unroll") for (int r = 0; r < $N; r++)
    _Pragma("unroll") for (int l = 0; l < $N; l++) acc[r][l] = $FMA(x[r], y[l], acc[r][l]);
}

// $D steps of $B rows or columns, from memory where neighbours are `across` rows or steps: those beyond the last are 0.
void at_matmul_load_$Q_$S(int lane, long n, long k, $C *a, long rs, long cs, int along, $L *to) {
  _Pragma("unroll") for (int s = 0; s < $B * $D / 256; s++) {
    const int e = lane + s * 256;
    const int r = along ? e / $D : e % $B, p = along ? e % $D : e / $B;
    to[p * ($B + 4) + r] = r < n && p < k ? a[r*rs + p*cs] : 0;
  }
}

// What a tile's chains have summed up to.
void at_matmul_store_$Q_$S(int lane, long m, long n, $T (*sum)[$N], $G *c, long crs, int add) {
  const int ty = lane / 16 * 4, tx = lane % 16 * 4;
  _Pragma("unroll") for (int r = 0; r < $N; r++)
    _Pragma("unroll") for (int l = 0; l < $N; l++) {
      const long i = ty + r / 4 * 64 + r % 4, j = tx + l / 4 * 64 + l % 4;
      if (i < m && j < n) { $G *at = c + i*crs + j; *at = add ? *at + sum[r][l] : sum[r][l]; }
    }
}

// A tile of $B rows and columns by 256 items, each of which has $N times $N elements.
void at_matmul_group_$Q_$S(int lane, $L *la, $L *lb, long m, long n, long k, $C *a, long ars, long acs, $C *b, long brs, long bcs, $G *c, long crs, int add) {
  const int ty = lane / 16 * 4, tx = lane % 16 * 4;
  $T sum[$N][$N];
  for (long p = 0; p < max(k, 1L); p += 256) {
    $T acc[$N][$N];
    _Pragma("unroll") for (int r = 0; r < $N; r++) _Pragma("unroll") for (int l = 0; l < $N; l++) acc[r][l] = 0;
    const long end = min(p + 256, k);
    for (long q = p; q < end; q += $D) {
      barrier(CLK_LOCAL_MEM_FENCE);
      at_matmul_load_$Q_$S(lane, m, end - q, a + q*acs, ars, acs, acs == 1, la);
      at_matmul_load_$Q_$S(lane, n, end - q, b + q*brs, bcs, brs, bcs != 1, lb);
      barrier(CLK_LOCAL_MEM_FENCE);
      // A step beyond the last would make +0 of -0.
      if (end - q >= $D) {
        _Pragma("unroll") for (int s = 0; s < $D; s++) at_matmul_step_$Q_$S(acc, la + s * ($B + 4) + ty, lb + s * ($B + 4) + tx);
      } else {
        for (int s = 0; s < end - q; s++) at_matmul_step_$Q_$S(acc, la + s * ($B + 4) + ty, lb + s * ($B + 4) + tx);
      }
    }
    _Pragma("unroll") for (int r = 0; r < $N; r++)
      _Pragma("unroll") for (int l = 0; l < $N; l++) sum[r][l] = p == 0 ? acc[r][l] : sum[r][l] + acc[r][l];
  }
  at_matmul_store_$Q_$S(lane, m, n, sum, c, crs, add);
}

// $D steps of $B rows or columns, from memory where these are at `rows` and `steps`: those beyond the last are 0.
void at_matmul_fetch_$Q_$S(int lane, long n, int k, $C *a, __local const long *rows, __local const long *steps, int along, $L *to) {
  _Pragma("unroll") for (int s = 0; s < $B * $D / 256; s++) {
    const int e = lane + s * 256;
    const int r = along ? e / $D : e % $B, p = along ? e % $D : e / $B;
    to[p * ($B + 4) + r] = r < n && p < k ? a[rows[r] + steps[p]] : 0;
  }
}

// A chain of a tile, added to the sum of those before it: rows of a, columns of b and the steps of both are at these places.
void at_matmul_chain_$Q_$S(int lane, $L *la, $L *lb, long m, long n, int k, $C *a, __local const long *ra, __local const long *sa, int along_a, $C *b, __local const long *cb, __local const long *sb, int along_b, int first, $T (*sum)[$N]) {
  const int ty = lane / 16 * 4, tx = lane % 16 * 4;
  $T acc[$N][$N];
  _Pragma("unroll") for (int r = 0; r < $N; r++) _Pragma("unroll") for (int l = 0; l < $N; l++) acc[r][l] = 0;
  for (int q = 0; q < k; q += $D) {
    barrier(CLK_LOCAL_MEM_FENCE);
    at_matmul_fetch_$Q_$S(lane, m, k - q, a, ra, sa + q, along_a, la);
    at_matmul_fetch_$Q_$S(lane, n, k - q, b, cb, sb + q, along_b, lb);
    barrier(CLK_LOCAL_MEM_FENCE);
    // A step beyond the last would make +0 of -0.
    for (int s = 0; s < min(k - q, $D); s++) at_matmul_step_$Q_$S(acc, la + s * ($B + 4) + ty, lb + s * ($B + 4) + tx);
  }
  _Pragma("unroll") for (int r = 0; r < $N; r++)
    _Pragma("unroll") for (int l = 0; l < $N; l++) sum[r][l] = first ? acc[r][l] : sum[r][l] + acc[r][l];
}

// An element.
void at_matmul_element_$S(long k, $C *a, long acs, $C *b, long brs, $G *c, int add) {
  $T sum = 0;
  for (long p = 0; p < k; p += 256) {
    $T acc = 0;
    const int steps = min(256L, k - p);
    for (int s = 0; s < steps; s++, a += acs, b += brs) acc = $FMA(a[0], b[0], acc);
    sum = p == 0 ? acc : sum + acc;
  }
  *c = add ? *c + sum : sum;
}

// A step of an element.
void at_matmul_add_$S($C *a, $C *b, $T *acc) { *acc = $FMA(*a, *b, *acc); }
