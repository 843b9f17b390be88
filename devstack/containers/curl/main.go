// A stand-in for curl in images that hold no shell, so that Docker can ask for
// their health: `curl --fail URL` ends with status 0 where the URL answers well.
// Upstream's images have the real one, and the same health check serves both.
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

// The statuses of curl: refused by the server, and not reached at all.
const (
	refused     = 22
	unreachable = 7
)

func main() {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(os.Args[len(os.Args)-1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(unreachable)
	}
	answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		fmt.Fprintln(os.Stderr, answer.Status)
		os.Exit(refused)
	}
}
