// Chains of matrix products for a device of few threads with wide vectors: registers hold six rows of a vector of columns, or one
// row of several vectors. `$S` names the dtype, `$T` is its C type (unsigned for integers, which wrap), `$V` a vector of `$W` of
// them, `$C` and `$G` the type in memory that is read and written. `k` is the steps of one chain; `add` adds it to what `c` holds.

// One chain of six rows and $W columns, of which rows below `rows` and the columns from..to are stored.
void at_matmul_put_$S($V x, $G *c, int add) { if (add) x += vload$W(0, c); vstore$W(x, 0, c); }

void at_matmul_tile_$S(int k, $C *a, long ars, long acs, $C *b, long brs, $G *c, long crs, int rows, int from, int to, int add) {
  $V c0 = 0, c1 = 0, c2 = 0, c3 = 0, c4 = 0, c5 = 0;
  for (int p = 0; p < k; p++, a += acs, b += brs) {
    const $V v = vload$W(0, b);
    c0 = $FMA(($V)(a[0]), v, c0);
    c1 = $FMA(($V)(a[ars]), v, c1);
    c2 = $FMA(($V)(a[2*ars]), v, c2);
    c3 = $FMA(($V)(a[3*ars]), v, c3);
    c4 = $FMA(($V)(a[4*ars]), v, c4);
    c5 = $FMA(($V)(a[5*ars]), v, c5);
  }
  if (rows == 6 && to - from == $W) {
    at_matmul_put_$S(c0, c, add); at_matmul_put_$S(c1, c + crs, add); at_matmul_put_$S(c2, c + 2*crs, add);
    at_matmul_put_$S(c3, c + 3*crs, add); at_matmul_put_$S(c4, c + 4*crs, add); at_matmul_put_$S(c5, c + 5*crs, add);
  } else {
    $T x[6 * $W];
    vstore$W(c0, 0, x); vstore$W(c1, 1, x); vstore$W(c2, 2, x); vstore$W(c3, 3, x); vstore$W(c4, 4, x); vstore$W(c5, 5, x);
    for (int r = 0; r < rows; r++) for (int l = from; l < to; l++) c[r*crs + l] = add ? c[r*crs + l] + x[r*$W + l] : x[r*$W + l];
  }
}

// One chain of one row and 4, 2 or 1 vectors of columns.
void at_matmul_row4_$S(int k, $C *a, long acs, $C *b, long brs, $G *c, int add) {
  $V c0 = 0, c1 = 0, c2 = 0, c3 = 0;
  for (int p = 0; p < k; p++, a += acs, b += brs) {
    const $V x = ($V)(a[0]);
    c0 = $FMA(x, vload$W(0, b), c0); c1 = $FMA(x, vload$W(1, b), c1); c2 = $FMA(x, vload$W(2, b), c2); c3 = $FMA(x, vload$W(3, b), c3);
  }
  at_matmul_put_$S(c0, c, add); at_matmul_put_$S(c1, c + $W, add); at_matmul_put_$S(c2, c + 2*$W, add); at_matmul_put_$S(c3, c + 3*$W, add);
}

void at_matmul_row2_$S(int k, $C *a, long acs, $C *b, long brs, $G *c, int add) {
  $V c0 = 0, c1 = 0;
  for (int p = 0; p < k; p++, a += acs, b += brs) {
    const $V x = ($V)(a[0]);
    c0 = $FMA(x, vload$W(0, b), c0); c1 = $FMA(x, vload$W(1, b), c1);
  }
  at_matmul_put_$S(c0, c, add); at_matmul_put_$S(c1, c + $W, add);
}

void at_matmul_row1_$S(int k, $C *a, long acs, $C *b, long brs, $G *c, int from, int to, int add) {
  $V c0 = 0;
  for (int p = 0; p < k; p++, a += acs, b += brs) c0 = $FMA(($V)(a[0]), vload$W(0, b), c0);
  if (to - from == $W) at_matmul_put_$S(c0, c, add);
  else {
    $T x[$W]; vstore$W(c0, 0, x);
    for (int l = from; l < to; l++) c[l] = add ? c[l] + x[l] : x[l];
  }
}

// One chain of m rows and n columns of b as it lies: its columns are neighbours, and there are at least $W.
void at_matmul_rows_$S(long m, long n, int k, $C *a, long ars, long acs, $C *b, long brs, $G *c, long crs, int add) {
  for (long i = 0; i < m; i++, a += ars, c += crs) {
    long j = 0;
    for (; j + 4*$W <= n; j += 4*$W) at_matmul_row4_$S(k, a, acs, b + j, brs, c + j, add);
    for (; j + 2*$W <= n; j += 2*$W) at_matmul_row2_$S(k, a, acs, b + j, brs, c + j, add);
    for (; j < n; j += $W) {
      const int over = max(j + $W - n, 0L);
      at_matmul_row1_$S(k, a, acs, b + j - over, brs, c + j - over, over, $W, add);
    }
  }
}

void at_matmul_direct_$S(long m, long n, int k, $C *a, long ars, long acs, $C *b, long brs, $G *c, long crs, int add) {
  const long whole = m / 6 * 6;
  for (long j = 0; whole > 0 && j < n; j += $W) {
    const int over = max(j + $W - n, 0L);
    for (long i = 0; i < whole; i += 6)
      at_matmul_tile_$S(k, a + i*ars, ars, acs, b + j - over, brs, c + i*crs + j - over, crs, 6, over, $W, add);
  }
  at_matmul_rows_$S(m - whole, n, k, a + whole*ars, ars, acs, b, brs, c + whole*crs, crs, add);
}

// The same where both lie in panels, a's of six rows and b's of $W columns.
void at_matmul_panels_$S(long m, long n, int k, $C *a, $C *b, $G *c, long crs, int add) {
  for (long j = 0; j < n; j += $W)
    for (long i = 0; i < m; i += 6)
      at_matmul_tile_$S(k, a + i*k, 1, 6, b + j*k, $W, c + i*crs + j, crs, min(m - i, 6L), 0, min(n - j, (long)$W), add);
}

// The same where b lies in panels.
void at_matmul_half_$S(long m, long n, int k, $C *a, long ars, long acs, $C *b, $G *c, long crs, int add) {
  const long whole = m / 6 * 6;
  for (long j = 0; j < n; j += $W) {
    const int to = min(n - j, (long)$W);
    for (long i = 0; i < whole; i += 6) at_matmul_tile_$S(k, a + i*ars, ars, acs, b + j*k, $W, c + i*crs + j, crs, 6, 0, to, add);
    for (long i = whole; i < m; i++) at_matmul_row1_$S(k, a + i*ars, acs, b + j*k, $W, c + i*crs + j, 0, to, add);
  }
}

// The same wherever they lie, without vectors.
void at_matmul_narrow_$S(long m, long n, int k, $C *a, long ars, long acs, $C *b, long brs, long bcs, $G *c, long crs, int add) {
  long i = 0;
  for (; i + 8 <= m; i += 8) for (long j = 0; j < n; j++) {
    $T x0 = 0, x1 = 0, x2 = 0, x3 = 0, x4 = 0, x5 = 0, x6 = 0, x7 = 0;
    $C *left = a + i*ars, *right = b + j*bcs;
    for (int p = 0; p < k; p++, left += acs, right += brs) {
      const $T y = right[0];
      x0 = $FMA(left[0], y, x0); x1 = $FMA(left[ars], y, x1); x2 = $FMA(left[2*ars], y, x2); x3 = $FMA(left[3*ars], y, x3);
      x4 = $FMA(left[4*ars], y, x4); x5 = $FMA(left[5*ars], y, x5); x6 = $FMA(left[6*ars], y, x6); x7 = $FMA(left[7*ars], y, x7);
    }
    const $T x[8] = {x0, x1, x2, x3, x4, x5, x6, x7};
    for (int r = 0; r < 8; r++) { $G *at = c + (i + r)*crs + j; *at = add ? *at + x[r] : x[r]; }
  }
  for (; i < m; i++) {
    long j = 0;
    for (; j + 8 <= n; j += 8) {
      $T x0 = 0, x1 = 0, x2 = 0, x3 = 0, x4 = 0, x5 = 0, x6 = 0, x7 = 0;
      $C *left = a + i*ars, *right = b + j*bcs;
      for (int p = 0; p < k; p++, left += acs, right += brs) {
        const $T y = left[0];
        x0 = $FMA(y, right[0], x0); x1 = $FMA(y, right[bcs], x1); x2 = $FMA(y, right[2*bcs], x2); x3 = $FMA(y, right[3*bcs], x3);
        x4 = $FMA(y, right[4*bcs], x4); x5 = $FMA(y, right[5*bcs], x5); x6 = $FMA(y, right[6*bcs], x6); x7 = $FMA(y, right[7*bcs], x7);
      }
      const $T x[8] = {x0, x1, x2, x3, x4, x5, x6, x7};
      for (int l = 0; l < 8; l++) { $G *at = c + i*crs + j + l; *at = add ? *at + x[l] : x[l]; }
    }
    for (; j < n; j++) {
      $T x = 0;
      for (int p = 0; p < k; p++) x = $FMA(a[i*ars + p*acs], b[p*brs + j*bcs], x);
      $G *at = c + i*crs + j; *at = add ? *at + x : x;
    }
  }
}

// One chain of m rows and n columns of factors whose rows, columns and steps are at these places, $W columns at a time: those of
// b are put into a panel first.
void at_matmul_axes_$S(int m, int n, int k, $C *a, const long *ra, const long *sa, $C *b, const long *cb, const long *sb, $G *c, long crs, int add) {
  $T panel[256 * $W];
  for (int j = 0; j < n; j += $W) {
    const int to = min(n - j, $W);
    int dense = to == $W;
    for (int l = 1; l < to; l++) dense = dense && cb[j + l] - cb[j] == l;
    if (dense) for (int p = 0; p < k; p++) vstore$W(vload$W(0, b + sb[p] + cb[j]), p, panel);
    else for (int p = 0; p < k; p++) {
      $C *from = b + sb[p];
      for (int l = 0; l < $W; l++) panel[p*$W + l] = l < to ? from[cb[j + l]] : 0;
    }
    for (int i = 0; i < m; i += 6) {
      $C *a0 = a + ra[i], *a1 = a + ra[min(i + 1, m - 1)], *a2 = a + ra[min(i + 2, m - 1)];
      $C *a3 = a + ra[min(i + 3, m - 1)], *a4 = a + ra[min(i + 4, m - 1)], *a5 = a + ra[min(i + 5, m - 1)];
      $V c0 = 0, c1 = 0, c2 = 0, c3 = 0, c4 = 0, c5 = 0;
      for (int p = 0; p < k; p++) {
        const $V v = vload$W(p, panel);
        const long s = sa[p];
        c0 = $FMA(($V)(a0[s]), v, c0);
        c1 = $FMA(($V)(a1[s]), v, c1);
        c2 = $FMA(($V)(a2[s]), v, c2);
        c3 = $FMA(($V)(a3[s]), v, c3);
        c4 = $FMA(($V)(a4[s]), v, c4);
        c5 = $FMA(($V)(a5[s]), v, c5);
      }
      $G *out = c + i*crs + j;
      if (m - i >= 6 && to == $W) {
        at_matmul_put_$S(c0, out, add); at_matmul_put_$S(c1, out + crs, add); at_matmul_put_$S(c2, out + 2*crs, add);
        at_matmul_put_$S(c3, out + 3*crs, add); at_matmul_put_$S(c4, out + 4*crs, add); at_matmul_put_$S(c5, out + 5*crs, add);
      } else {
        $T x[6 * $W];
        vstore$W(c0, 0, x); vstore$W(c1, 1, x); vstore$W(c2, 2, x); vstore$W(c3, 3, x); vstore$W(c4, 4, x); vstore$W(c5, 5, x);
        for (int r = 0; r < min(m - i, 6); r++) for (int l = 0; l < to; l++) out[r*crs + l] = add ? out[r*crs + l] + x[r*$W + l] : x[r*$W + l];
      }
    }
  }
}

// Panels of `w` columns (or rows of a, which are columns of its transpose), of k steps, with zeros beyond the last.
void at_matmul_pack_$S(long n, int w, int k, $C *b, long brs, long bcs, $G *to) {
  for (int p = 0; p < k; p++, b += brs, to += w) {
    if (n >= w && bcs == 1) { for (int l = 0; l < w; l++) to[l] = b[l]; }
    else for (int l = 0; l < w; l++) to[l] = l < n ? b[l*bcs] : 0;
  }
}
