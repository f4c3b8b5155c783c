// SPDX-License-Identifier: MIT

// Go has no C library: its runtime makes all system calls itself, and interrupts its threads by
// signals all the time.  Prints what guest.h prints.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var failed = false

func want(what string, got, wanted interface{}) {
	if fmt.Sprint(got) == fmt.Sprint(wanted) {
		fmt.Println("ok", what)
		return
	}
	failed = true
	fmt.Printf("FAILED %s: %v, not %v\n", what, got, wanted)
}

func need(err error) {
	if err != nil {
		fmt.Println("FAILED to prepare:", err)
		os.Exit(1)
	}
}

func channels() {
	const workers, items = 50, 5000
	in, out := make(chan int), make(chan int, 8)
	var group sync.WaitGroup
	for i := 0; i < workers; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := range in {
				out <- n * n
			}
		}()
	}
	go func() {
		for i := 0; i < items; i++ {
			in <- i
		}
		close(in)
		group.Wait()
		close(out)
	}()
	sum := 0
	for n := range out {
		sum += n % 1000
	}
	want("the sum of what 50 goroutines made", sum, 2307500)
}

func locks() {
	var mutex sync.Mutex
	var group sync.WaitGroup
	var counter int64
	n := 0
	for i := 0; i < 20; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for j := 0; j < 2000; j++ {
				mutex.Lock()
				n++
				mutex.Unlock()
				atomic.AddInt64(&counter, 3)
			}
		}()
	}
	group.Wait()
	want("a counter under a lock", n, 40000)
	want("an atomic one of 64 bits", counter, 120000)
}

// One processor, and a loop that calls nothing: only a signal takes it away.
func preemption() {
	old := runtime.GOMAXPROCS(1)
	var stop, turns int32
	done := make(chan bool)
	for i := 0; i < 3; i++ {
		go func() {
			for atomic.LoadInt32(&stop) == 0 {
				turns++
			}
			done <- true
		}()
	}
	time.Sleep(30 * time.Millisecond)
	atomic.StoreInt32(&stop, 1)
	for i := 0; i < 3; i++ {
		<-done
	}
	runtime.GOMAXPROCS(old)
	want("three loops made room", turns != 0, true)
}

func timers() {
	began := time.Now()
	ticker := time.NewTicker(2 * time.Millisecond)
	for i := 0; i < 5; i++ {
		<-ticker.C
	}
	ticker.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	want("a deadline", errors.Is(ctx.Err(), context.DeadlineExceeded), true)
	select {
	case <-time.After(time.Hour):
		want("an hour has", "passed", "not")
	case <-time.After(time.Millisecond):
	}
	want("no less time than asked for", time.Since(began) >= 16*time.Millisecond, true)
}

func files() {
	need(os.MkdirAll("one/two", 0o755))
	need(os.WriteFile("one/two/text", []byte(strings.Repeat("a line\n", 10000)), 0o644))
	need(os.Symlink("two/text", "one/link"))
	f, err := os.Open("one/link")
	need(err)
	lines := 0
	for s := bufio.NewScanner(f); s.Scan(); lines++ {
	}
	want("lines", lines, 10000)
	_, err = f.Seek(7*9999, io.SeekStart)
	need(err)
	rest, err := io.ReadAll(f)
	want("the last one", string(rest), "a line\n")
	f.Close()
	need(os.Rename("one/two/text", "one/two/moved"))
	_, err = os.Stat("one/link")
	want("a link to nothing", os.IsNotExist(err), true)
	var seen []string
	filepath.Walk("one", func(path string, info os.FileInfo, err error) error {
		seen = append(seen, path, info.Mode().String())
		return err
	})
	want("all", strings.Join(seen, " "),
		"one drwxr-xr-x one/link Lrwxrwxrwx one/two drwxr-xr-x one/two/moved -rw-r--r--")
	need(os.RemoveAll("one"))
}

// The runtime waits by epoll.
func pipes() {
	r, w, err := os.Pipe()
	need(err)
	need(r.SetReadDeadline(time.Now().Add(3 * time.Millisecond)))
	_, err = r.Read(make([]byte, 1))
	want("a read with a deadline", errors.Is(err, os.ErrDeadlineExceeded), true)
	need(r.SetReadDeadline(time.Time{}))
	go func() {
		w.Write(make([]byte, 300000))
		w.Close()
	}()
	n, err := io.Copy(io.Discard, r)
	want("what went through a pipe", n, 300000)
	want("and its end", err, nil)
	r.Close()
}

func sockets() {
	listener, err := net.Listen("unix", "socket")
	need(err)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go io.Copy(c, c)
		}
	}()
	var group sync.WaitGroup
	var same int32
	for i := 0; i < 20; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			c, err := net.Dial("unix", "socket")
			need(err)
			defer c.Close()
			fmt.Fprintf(c, "from %d\n", i)
			line, _ := bufio.NewReader(c).ReadString('\n')
			if line == fmt.Sprintf("from %d\n", i) {
				atomic.AddInt32(&same, 1)
			}
		}(i)
	}
	group.Wait()
	listener.Close()
	want("answers", same, 20)
}

func signals() {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1, syscall.SIGTERM)
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGUSR1} {
		need(syscall.Kill(os.Getpid(), sig))
		want("a signal: "+sig.String(), <-got, sig)
	}
	signal.Ignore(syscall.SIGTERM)
	need(syscall.Kill(os.Getpid(), syscall.SIGTERM))
	signal.Reset()
}

func children() {
	self, err := os.Executable()
	need(err)
	cat := exec.Command(self, "cat")
	cat.Stdin = strings.NewReader(strings.Repeat("0123456789", 20000))
	out, err := cat.Output()
	need(err)
	want("bytes through a child", len(out), 200000)
	var status *exec.ExitError
	err = exec.Command(self, "exit").Run()
	want("its status", errors.As(err, &status) && status.ExitCode() == 7, true)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err = exec.CommandContext(ctx, self, "sleep").Run()
	want("one that is killed", err, "signal: killed")
	var group sync.WaitGroup
	var good int32
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			cmd := exec.Command(self, "env")
			cmd.Env = []string{"NAME=value"}
			if out, err := cmd.Output(); err == nil && string(out) == "value" {
				atomic.AddInt32(&good, 1)
			}
		}()
	}
	group.Wait()
	want("eight at a time", good, 8)
}

func recovered(f func()) (what string) {
	defer func() { what = strings.TrimPrefix(fmt.Sprint(recover()), "runtime error: ") }()
	f()
	return
}

// What the runtime makes of faults of the processor.
func panics() {
	var none *struct {
		far [100000]byte
		n   int
	}
	var zero int
	want("null", recovered(func() { none.n = 1 }), "invalid memory address or nil pointer dereference")
	want("divided", recovered(func() { zero = 1 / zero }), "integer divide by zero")
}

func deep(n int) int {
	var room [200]byte
	room[n%200] = 1
	if n == 0 {
		return 0
	}
	return deep(n-1) + int(room[n%200])
}

// Stacks that grow, and memory that is given back while others run.
func memory() {
	var group sync.WaitGroup
	var sum int64
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			kept := map[int][]byte{}
			for j := 0; j < 3000; j++ {
				kept[j%100] = make([]byte, 1000+j)
			}
			atomic.AddInt64(&sum, int64(deep(3000)+len(kept)))
		}()
	}
	runtime.GC()
	group.Wait()
	want("deep calls, much memory", sum, 8*3100)
}

func numbers() {
	x, single := 0.0, float32(0)
	for i := 1; i < 1000; i++ {
		x += math.Sqrt(float64(i)) / 3
		single += 1 / float32(i)
	}
	want("doubles", fmt.Sprintf("%.6f", x), "7021.944370")
	want("singles", single, "7.4844785")
	want("to an integer", int64(-x*1e9), "-7021944370293")
	want("of 64 bits", uint64(0xfedcba9876543210)/1000003*7, "128552924152674")
}

func threads() {
	var group sync.WaitGroup
	var ids sync.Map
	for i := 0; i < 10; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			runtime.LockOSThread() // and it ends with the goroutine
			ids.Store(syscall.Gettid(), true)
			syscall.Nanosleep(&syscall.Timespec{Nsec: 5000000}, nil)
		}()
	}
	group.Wait()
	n := 0
	ids.Range(func(_, _ interface{}) bool { n++; return true })
	want("ten threads", n, 10)
}

func child(what string) {
	switch what {
	case "cat":
		io.Copy(os.Stdout, os.Stdin)
	case "exit":
		os.Exit(7)
	case "sleep":
		time.Sleep(time.Hour)
	case "env":
		fmt.Print(os.Getenv("NAME"))
	}
}

func main() {
	if len(os.Args) > 1 {
		child(os.Args[1])
		return
	}
	channels()
	locks()
	preemption()
	timers()
	files()
	pipes()
	sockets()
	signals()
	children()
	panics()
	memory()
	numbers()
	threads()
	if failed {
		os.Exit(1)
	}
}
