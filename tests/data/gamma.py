"""Writes gamma.json: lgamma, digamma, polygamma and erfinv in f64, rounded from 50 digits, as bits, for tests/more_operators.

python tests/data/gamma.py > tests/data/gamma.json   (with mpmath)
"""
import json
import random
import struct
from mpmath import mp, mpf, loggamma, psi, erfinv, re, log, fabs, gamma

mp.dps = 50
random.seed(5)
xs = [0.5 * i + 0.25 for i in range(-40, 60)] + [10.0 ** k for k in range(-300, 301, 25)] + [-(10.0 ** k) for k in range(-300, 0, 25)]
xs += [random.uniform(0, 3) for _ in range(150)] + [random.uniform(3, 40) for _ in range(80)] + [random.uniform(-12, 0) for _ in range(120)]
xs += [1 + 2.0 ** -k for k in range(1, 52, 5)] + [1 - 2.0 ** -k for k in range(1, 52, 5)] + [2 - 2.0 ** -k for k in range(1, 52, 5)]
xs += [2 + 2.0 ** -k for k in range(1, 51, 5)] + [2.5, 8.0, 7.999, 1e15 + 0.5, -1000.25, -1e6 + 0.125, 1.4616321449683622, 1.4616321449683625]
us = [random.uniform(0, 1) for _ in range(150)] + [1 - 2.0 ** -k for k in range(1, 54)] + [2.0 ** -k for k in range(1, 1000, 40)] + [0.5, 0.499999999]


def bits(x):
    """As an integer, which every reader of JSON takes as it is."""
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def rows(f, xs):
    return [[bits(x), bits(float(f(mpf(x))))] for x in xs]


up = [x for x in xs if -40 < x < 1e15 and (x > 1e-30 or x < -1e-3)]
near = [x for x in up if abs(x) > 1e-3 and abs(x) < 1e8]
print(json.dumps({
    "lgamma": rows(lambda x: re(loggamma(x)) if x > 0 else log(fabs(gamma(x))), xs),
    "digamma": rows(lambda x: psi(0, x), xs),
    "polygamma1": rows(lambda x: psi(1, x), near),
    "polygamma3": rows(lambda x: psi(3, x), near),
    "erfinv": rows(erfinv, us + [-u for u in us]),
}))
