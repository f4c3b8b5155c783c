# SPDX-License-Identifier: MIT

# SS_ARCH
# Finds the architecture: each lib/arch/*/arch.h refuses to be compiled for any
# other, so whichever the compiler accepts, with the flags in use, it is.
AC_DEFUN([SS_ARCH], [
AC_CACHE_CHECK([which stub is for this architecture], [ss_cv_arch], [
	ss_cv_arch=
	ss_save_CPPFLAGS=$CPPFLAGS
	for ss_dir in "$srcdir"/lib/arch/*/; do
		ss_try=`basename "$ss_dir"`
		CPPFLAGS="$ss_save_CPPFLAGS -I$srcdir/lib/arch/$ss_try"
		AC_COMPILE_IFELSE([AC_LANG_SOURCE([[
			#include <stdint.h>
			#include <sys/syscall.h>
			#include <ucontext.h>
			#include "arch.h"
		]])], [ss_cv_arch="$ss_cv_arch $ss_try"])
	done
	CPPFLAGS=$ss_save_CPPFLAGS
	ss_cv_arch=`echo $ss_cv_arch`
	test -n "$ss_cv_arch" || ss_cv_arch=none
])
ss_arch=$ss_cv_arch
AS_CASE([$ss_arch],
	[none], [AC_MSG_ERROR([there is no stub for this architecture ($host, $CC $CFLAGS).
  lib/arch has: `cd "$srcdir/lib/arch" && echo *`.
  There is no fallback, as none would be free of the race; CONTRIBUTING tells how to write a stub.])],
	[*' '*], [AC_MSG_ERROR([more than one lib/arch/*/arch.h takes this architecture for its own: $ss_arch])])
AC_SUBST([ss_arch])
])

# SS_TLS_INITIAL_EXEC
# The thread's own scope must be reachable from a handler, so nothing may be
# allocated on first use.
AC_DEFUN([SS_TLS_INITIAL_EXEC], [
AC_CACHE_CHECK([for thread-local storage of the initial-exec model], [ss_cv_tls], [
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[
		static __thread int word __attribute__((tls_model("initial-exec")));
	]], [[return word++;]])], [ss_cv_tls=yes], [ss_cv_tls=no])
])
AS_IF([test "$ss_cv_tls" = no],
	[AC_MSG_ERROR([the compiler has no __thread with tls_model("initial-exec")])])
])

# SS_TRY_LDFLAG(FLAG)
# Adds FLAG to SS_LDFLAGS where the linker knows it.
AC_DEFUN([SS_TRY_LDFLAG], [
AS_VAR_PUSHDEF([ss_var], [ss_cv_ldflag_$1])
AC_CACHE_CHECK([whether the linker takes $1], [ss_var], [
	ss_save_LDFLAGS=$LDFLAGS
	LDFLAGS="$LDFLAGS $1"
	AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AS_VAR_SET([ss_var], [yes])],
		[AS_VAR_SET([ss_var], [no])])
	LDFLAGS=$ss_save_LDFLAGS
])
AS_VAR_IF([ss_var], [yes], [SS_LDFLAGS="$SS_LDFLAGS $1"])
AS_VAR_POPDEF([ss_var])
])

# SS_LINKER_FLAGS
# What the shared library is linked with: nothing undefined, nothing to
# relocate in the text, and our own calls stay our own.
AC_DEFUN([SS_LINKER_FLAGS], [
SS_LDFLAGS=
SS_TRY_LDFLAG([-Wl,-z,defs])
SS_TRY_LDFLAG([-Wl,-z,text])
SS_TRY_LDFLAG([-Wl,-Bsymbolic-functions])
# a handler on a small stack is not to run the dynamic linker
SS_TRY_LDFLAG([-Wl,-z,now])
# handlers and thread-exit functions of ours outlive a dlclose()
SS_TRY_LDFLAG([-Wl,-z,nodelete])
AC_SUBST([SS_LDFLAGS])
])

# SS_WARNINGS
AC_DEFUN([SS_WARNINGS], [
SS_WARN_CFLAGS="-Wall -Wextra -Wshadow -Wundef -Wstrict-prototypes -Wmissing-prototypes"
AS_IF([test "$enable_werror" = yes], [SS_WARN_CFLAGS="$SS_WARN_CFLAGS -Werror"])
AC_SUBST([SS_WARN_CFLAGS])
])

# SS_TEST_NEEDS
# The library needs none of these; only the tests do, and say so.
AC_DEFUN([SS_TEST_NEEDS], [
PKG_CHECK_MODULES([CHECK], [check >= 0.12], [ss_tests=yes], [ss_tests="no (Check not found)"])
AM_CONDITIONAL([HAVE_CHECK], [test "$ss_tests" = yes])
# One of the examples has a part for programs that use GLib, and is tested with GIO.
PKG_CHECK_MODULES([GLIB], [glib-2.0 gio-2.0 gio-unix-2.0], [
	# a cross compiler's pkg-config often tells of the build machine's
	ss_save_LIBS=$LIBS
	ss_save_CFLAGS=$CFLAGS
	LIBS="$GLIB_LIBS $LIBS"
	CFLAGS="$CFLAGS $GLIB_CFLAGS"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[
		#include <gio/gio.h>
		G_STATIC_ASSERT(GLIB_SIZEOF_VOID_P == sizeof(void *));
	]], [[return g_main_context_default() == NULL;]])], [ss_glib=yes], [ss_glib=no])
	LIBS=$ss_save_LIBS
	CFLAGS=$ss_save_CFLAGS
], [ss_glib=no])
AM_CONDITIONAL([HAVE_GLIB], [test "$ss_glib" = yes])
AC_PATH_PROGS([MANDOC], [mandoc], [:])
AC_CHECK_TOOL([OBJDUMP], [objdump], [:])
AC_CHECK_TOOL([READELF], [readelf], [:])
AC_CHECK_TOOL([NM], [nm], [:])
# One test is C++.  Not by AC_PROG_CXX, for which libtool asks all that it knows of C once more.
# A cross compiler for C often comes without one for C++, and the build machine's own is found.
AC_ARG_VAR([CXX], [C++ compiler command])
AC_ARG_VAR([CXXFLAGS], [C++ compiler flags])
AC_CHECK_TOOLS([CXX], [g++ clang++ c++], [false])
AC_CACHE_CHECK([whether the C++ compiler is for the same machine], [ss_cv_cxx], [
	ss_cv_cxx=no
	echo 'int ss_in_c(void) { return 0; }' >ss_conftest.c
	echo 'extern "C" int ss_in_c(void); int main() { return ss_in_c(); }' >ss_conftestxx.cc
	{
		$CC $CPPFLAGS $CFLAGS -c ss_conftest.c -o ss_conftest.$ac_objext &&
		$CXX $CPPFLAGS $CXXFLAGS $LDFLAGS ss_conftestxx.cc ss_conftest.$ac_objext -o ss_conftest.out
	} >&AS_MESSAGE_LOG_FD 2>&1 && ss_cv_cxx=yes
	rm -f ss_conftest*
])
AM_CONDITIONAL([HAVE_CXX], [test "$ss_cv_cxx" = yes])
])
