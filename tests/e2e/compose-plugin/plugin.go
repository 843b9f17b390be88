//go:build plugin

// Package plugin keeps the program among the requirements of go.mod.
package plugin

import _ "github.com/docker/compose/v2/cmd"
