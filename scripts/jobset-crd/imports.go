//go:build tools

// Package jobsetcrd pins what scripts/generate-jobset runs: the generator, and
// the Go types that it reads.
package jobsetcrd

import (
	_ "sigs.k8s.io/controller-tools/cmd/controller-gen"
	_ "sigs.k8s.io/jobset/api/jobset/v1alpha2"
)
