//go:build imports

// Package provisioner pins the program, so that `go mod tidy` keeps what it needs.
package provisioner

import _ "github.com/rancher/local-path-provisioner"
