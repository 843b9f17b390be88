// Command curl replaces curl in images without a shell, for Docker's health check:
// `curl --fail URL` exits with status 0 if the response is a success. Upstream's images
// contain the real one, so the same health check works in both.
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

// The exit statuses of curl.
const (
	httpError   = 22
	unreachable = 7
)

func main() {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get(os.Args[len(os.Args)-1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(unreachable)
	}
	response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		fmt.Fprintln(os.Stderr, response.Status)
		os.Exit(httpError)
	}
}
