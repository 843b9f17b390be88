// Package imds serves the instance metadata of Amazon EC2, as far as flows read it.
package imds

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"
	"time"

	"devstack/containers/node-agent/node"
)

const (
	// TerminationAnnotation of a node: the time at which a spot instance is to be reclaimed,
	// in the form of RFC 3339. While it is set, the interruption notice is served.
	TerminationAnnotation = "devstack.dev/spot-termination-time"

	instanceTypeLabel = "node.kubernetes.io/instance-type"
	regionLabel       = "topology.kubernetes.io/region"
	zoneLabel         = "topology.kubernetes.io/zone"
	lifecycleLabel    = "node.kubernetes.io/lifecycle"

	defaultType   = "m5.xlarge"
	defaultRegion = "us-east-1"
	defaultZone   = "us-east-1a"

	accountID = "000000000000"
)

// ec2Type is the form of AWS's instance types: "p3.8xlarge", "u-6tb1.metal". Those of Google
// Cloud and Azure have no dot.
var ec2Type = regexp.MustCompile(`^[a-z0-9-]+\.[a-z0-9-]+$`)

// Instance is an EC2 instance.
type Instance struct {
	ID          string
	Type        string
	Region      string
	Zone        string
	Spot        bool
	Termination time.Time // zero if there is no interruption notice
	Started     time.Time
	Address     string
	Hostname    string
}

// FromNode returns the instance that a node is; nil if the node is not one of EC2: it has
// neither an instance type of EC2 nor, without any type, is it a spot node.
func FromNode(from node.Node, address string) *Instance {
	kind := from.Labels[instanceTypeLabel]
	spot := from.Labels[lifecycleLabel] == "spot"
	if kind == "" && spot {
		kind = defaultType
	}
	if !ec2Type.MatchString(kind) {
		return nil
	}
	zone := either(from.Labels[zoneLabel], defaultZone)
	instance := &Instance{
		ID:       instanceID(from.UID),
		Type:     kind,
		Region:   either(from.Labels[regionLabel], regionOf(zone)),
		Zone:     zone,
		Spot:     spot,
		Started:  from.Created,
		Address:  address,
		Hostname: from.Name,
	}
	if spot {
		// An invalid time is as good as none: devstack writes valid ones.
		instance.Termination, _ = time.Parse(time.RFC3339, from.Annotations[TerminationAnnotation])
	}
	return instance
}

func either(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func regionOf(zone string) string {
	return either(strings.TrimRight(zone, "abcdefghijklmnopqrstuvwxyz"), defaultRegion)
}

// instanceID returns an identifier in EC2's form, another one for each node.
func instanceID(uid string) string {
	return fmt.Sprintf("i-%.17x", sha256.Sum256([]byte(uid)))[:19]
}
