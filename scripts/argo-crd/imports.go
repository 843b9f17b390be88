//go:build tools

// Package argocrd pins what scripts/generate-argo runs: the generator, and the Go types that it
// reads.
package argocrd

import (
	_ "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	_ "sigs.k8s.io/controller-tools/cmd/controller-gen"
)
