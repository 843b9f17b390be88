// Package devices offers extended resources to the kubelet, by its device plugin API.
package devices

import (
	"crypto/sha1" //nolint:gosec // the digest is an identifier
	"fmt"
	"strconv"
	"strings"
)

// vendor is how the device plugin of a vendor passes devices to a container.
type vendor struct {
	// id returns the identifier of a device, unique on its node.
	id func(node string, index int) string
	// variable is the environment variable that lists the identifiers of a container's
	// devices; empty if the vendor's plugin sets none.
	variable string
	// paths are device files of one device, with %d for its index plus the offset; and those
	// that all devices need.
	paths  []path
	shared []string
}

type path struct {
	format string
	offset int
}

// vendors are the resources of well-known device plugins. Sources: NVIDIA/k8s-device-plugin
// (deviceListStrategy envvar, deviceIDStrategy uuid, the defaults); ROCm/k8s-device-plugin
// (device files only); AWS Neuron's documentation of its plugin; libtpu's variable. Any other
// resource is counted only.
var vendors = map[string]vendor{
	"nvidia.com/gpu": {
		id:       uuid,
		variable: "NVIDIA_VISIBLE_DEVICES",
		paths:    []path{{"/dev/nvidia%d", 0}},
		shared: []string{
			"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset",
		},
	},
	"amd.com/gpu": {
		paths:  []path{{"/dev/dri/card%d", 0}, {"/dev/dri/renderD%d", 128}},
		shared: []string{"/dev/kfd"},
	},
	"aws.amazon.com/neuron": {
		variable: "AWS_NEURON_VISIBLE_DEVICES",
		paths:    []path{{"/dev/neuron%d", 0}},
	},
	"aws.amazon.com/neuroncore": {variable: "NEURON_RT_VISIBLE_CORES"},
	"google.com/tpu": {
		variable: "TPU_VISIBLE_CHIPS",
		paths:    []path{{"/dev/accel%d", 0}},
	},
}

// deviceID returns the identifier of a device of a resource.
func deviceID(resource, node string, index int) string {
	if found := vendors[resource]; found.id != nil {
		return found.id(node, index)
	}
	return strconv.Itoa(index)
}

// uuid returns a device's UUID in the form of NVIDIA's driver, the same after a restart.
func uuid(node string, index int) string {
	sum := sha1.Sum(fmt.Appendf(nil, "%s/%d", node, index)) //nolint:gosec // see the import
	return fmt.Sprintf("GPU-%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// environment returns the variables of a container with the devices of these identifiers.
func environment(resource string, ids []string) map[string]string {
	variable := vendors[resource].variable
	if variable == "" {
		return nil
	}
	return map[string]string{variable: strings.Join(ids, ",")}
}

// deviceFiles returns the files of devices that the node really has.
func deviceFiles(resource string, indices []int, exists func(string) bool) []string {
	var found []string
	for _, index := range indices {
		for _, each := range vendors[resource].paths {
			if file := fmt.Sprintf(each.format, index+each.offset); exists(file) {
				found = append(found, file)
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	for _, file := range vendors[resource].shared {
		if exists(file) {
			found = append(found, file)
		}
	}
	return found
}
