// SPDX-License-Identifier: MIT

// The same in Go; and its file server, for the web server: tasks serve ADDRESS DIR.
package main

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func ns(began time.Time, n int) float64 { return float64(time.Since(began).Nanoseconds()) / float64(n) }

func switches() float64 {
	const n = 500000
	over := make(chan bool)
	began := time.Now()
	for t := 0; t < 2; t++ {
		go func() {
			for i := 0; i < n; i++ {
				runtime.Gosched()
			}
			over <- true
		}()
	}
	<-over
	<-over
	return ns(began, 2*n)
}

func spawns() float64 {
	over := make(chan bool)
	began := time.Now()
	for i := 0; i < 100000; i++ {
		go func() { over <- true }()
		<-over
	}
	return ns(began, 100000)
}

func pingPong() float64 {
	a, b := make(chan int), make(chan int)
	go func() {
		for n := range a {
			b <- n
		}
	}()
	began := time.Now()
	for i := 0; i < 200000; i++ {
		a <- i
		<-b
	}
	return ns(began, 200000)
}

func ring() float64 {
	first := make(chan int)
	from := first
	for i := 0; i < 1000; i++ {
		to := make(chan int)
		go func(from, to chan int) {
			for n := range from {
				to <- n
			}
		}(from, to)
		from = to
	}
	began := time.Now()
	for i := 0; i < 200; i++ {
		first <- i
		<-from
	}
	return ns(began, 200000)
}

func resident() float64 {
	text, _ := os.ReadFile("/proc/self/statm")
	pages, _ := strconv.Atoi(strings.Fields(string(text))[1])
	return float64(pages * os.Getpagesize())
}

func memory() float64 {
	before := resident()
	for i := 0; i < 100000; i++ {
		go func() { time.Sleep(1000 * time.Second) }()
	}
	time.Sleep(time.Second)
	return (resident() - before) / 100000
}

func locks() float64 {
	f, _ := syscall.Open("/tmp", 0, 0)
	for i := 0; i < 1000; i++ {
		go func() {
			for {
				runtime.Gosched()
			}
		}()
	}
	began := time.Now()
	for i := 0; i < 200; i++ {
		syscall.Flock(f, []int{syscall.LOCK_EX, syscall.LOCK_UN}[i%2])
	}
	return ns(began, 200)
}

func main() {
	if os.Args[1] == "serve" {
		panic(http.ListenAndServe(os.Args[2], http.FileServer(http.Dir(os.Args[3]))))
	}
	threads, _ := strconv.Atoi(os.Args[2])
	runtime.GOMAXPROCS(threads)
	fmt.Printf("%.0f\n", map[string]func() float64{"switch": switches, "spawn": spawns,
		"pingpong": pingPong, "ring": ring, "memory": memory, "flock": locks}[os.Args[1]]())
}
