/* SPDX-License-Identifier: MIT */
/* Floating point: conversions, rounding, comparisons, moves, odd values, and what libm makes of it. */
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include "guest.h"

static const double numbers[] = {
	0.0, -0.0, 1.0, -1.0, 0.1, -0.5, 0.5, 1.5, 2.5, -2.5, 3.999999, 1e10, -1e10, 2147483647.0,
	2147483648.0, -2147483648.0, 1e300, -1e-300, 4.9e-324, DBL_MAX, DBL_MIN
};
#define COUNT (sizeof(numbers) / sizeof(numbers[0]))

static void print_bits(const char *what, double x)
{
	uint64_t bits;

	memcpy(&bits, &x, sizeof(bits));
	printf("%s %016llx", what, (unsigned long long)bits);
}

static void arithmetic(void)
{
	volatile double a, b;
	volatile float f, g;
	size_t i, j;

	for (i = 0; i < COUNT; i++)
		for (j = 0; j < COUNT; j += 3) {
			a = numbers[i];
			b = numbers[j];
			print_bits("", a + b);
			print_bits("", a - b);
			print_bits("", a * b);
			if (b != 0)
				print_bits("", a / b);
			if (a >= 0)
				print_bits("", sqrt(a));
			f = (float)a;
			g = (float)b;
			if (!isinf(f) && !isinf(g))
				print_bits("", f * g + f - g);
			putchar('\n');
		}
}

/* To integers, where they fit; nobody promises the rest. */
static void conversions(void)
{
	const int modes[] = { FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD };
	volatile double a;
	volatile float f;
	size_t i, m;

	for (m = 0; m < 4; m++) {
		fesetround(modes[m]);
		printf("mode %d\n", fegetround() == modes[m]);
		for (i = 0; i < COUNT; i++) {
			a = numbers[i];
			if (fabs(a) < 2147483647.0)
				printf(" %d %ld %.0f", (int)a, lrint(a), rint(a));
			f = (float)a;
			print_bits("", f);
			a = a / 3;
			print_bits("", a);
			f = (float)a;
			f = f / 3;
			print_bits("", f);
			putchar('\n');
		}
	}
	fesetround(FE_TONEAREST);
	for (i = 0; i < COUNT; i++) {
		a = numbers[i];
		if (fabs(a) < 1e18)
			printf("%lld ", (long long)a);
		if (a >= 0 && a < 1e18)
			printf("%llu ", (unsigned long long)a);
		if (a >= 0 && a < 4294967296.0)
			printf("%u", (unsigned)a);
		putchar('\n');
	}
	printf("%.17g %.17g %.9g\n", (double)INT64_MAX, (double)UINT64_MAX, (float)INT32_MIN);
}

static void comparisons(void)
{
	const double odd[] = { 0.0, -0.0, 1.0, -1.0, INFINITY, -INFINITY, NAN };
	volatile double a, b;
	volatile float f, g;
	int i, j;

	for (i = 0; i < 7; i++) {
		for (j = 0; j < 7; j++) {
			a = odd[i];
			b = odd[j];
			f = (float)a;
			g = (float)b;
			printf("%d%d%d%d%d%d%d-%d%d%d ", a < b, a <= b, a == b, a != b, a > b, a >= b,
			       isunordered(a, b), f < g, f <= g, f == g);
		}
		putchar('\n');
	}
}

static void text(void)
{
	char *end;
	size_t i;

	for (i = 0; i < COUNT; i++)
		printf("%g %.17g %a %e %.3f\n", numbers[i], numbers[i], numbers[i], numbers[i],
		       fabs(numbers[i]) < 1e20 ? numbers[i] : 0);
	printf("%.20Lg\n", (long double)1 / 3);
	printf("%.17g %.17g %.17g\n", strtod("0.1e-5xyz", &end), strtod("179769313486231e294", NULL),
	       strtod("-2.2250738585072011e-308", NULL));
	printf("%s %g %g %g\n", end, strtod("inf", NULL), fabs(strtod("nan", NULL)), strtod("0x1.8p3", NULL));
}

/* To twelve digits: the last ones may differ with the library. */
static void functions(void)
{
	double x;

	for (x = 0.1; x < 12; x *= 1.7) {
		printf("%.12g %.12g %.12g %.12g ", sin(x), cos(x), tan(x), atan(x));
		printf("%.12g %.12g %.12g %.12g ", exp(x), log(x), pow(x, 2.5), cbrt(x));
		printf("%.12g %.12g %.12g %.12g\n", fmod(x, 0.3), hypot(x, 1), sinh(x), lgamma(x));
		printf("%.6g %.6g %.6g %.6g\n", sinf((float)x), expf((float)x), logf((float)x),
		       sqrtf((float)x));
	}
	printf("%g %g %g %g %g\n", floor(-2.5), ceil(-2.5), trunc(-2.5), round(-2.5), nearbyint(-2.5));
	printf("%g %g %d\n", copysign(3, -0.0), ldexp(0.75, 5), ilogb(1000));
	printf("%g %g %g\n", fma(3, 4, 5), fmax(1, NAN), remainder(7, 4));
}

static void special(void)
{
	volatile double zero = 0, one = 1, big = DBL_MAX;

	printf("%g %g %d\n", one / zero, -one / zero, isnan(zero / zero));
	printf("%g %d\n", big * 10, isnan(sqrt(-one)));
	feclearexcept(FE_ALL_EXCEPT);
	one = one / 3;
	printf("inexact %d", !!fetestexcept(FE_INEXACT));
	big *= 10;
	printf(" overflow %d", !!fetestexcept(FE_OVERFLOW));
	one = 1 / zero;
	printf(" divbyzero %d", !!fetestexcept(FE_DIVBYZERO));
	one = zero / zero;
	printf(" invalid %d", !!fetestexcept(FE_INVALID));
	feclearexcept(FE_ALL_EXCEPT);
	printf(" none %d\n", fetestexcept(FE_ALL_EXCEPT));
}

static double sum_of(int n, const double *a, float f, double d)
{
	double sum = f * d;
	int i;

	for (i = 0; i < n; i++)
		sum += a[i] * (i & 1 ? -1 : 1);
	return sum;
}

int main(void)
{
	double (*volatile function)(int, const double *, float, double) = sum_of;
	double list[5] = { 1.25, 2.5, 3.75, 5, 6.25 };

	arithmetic();
	conversions();
	comparisons();
	text();
	functions();
	special();
	printf("%g\n", function(5, list, 0.5f, 3));
	return guest_end();
}
