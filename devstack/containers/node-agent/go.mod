// The node agent: device plugin and instance metadata service. Its versions are those of
// ../kubernetes, so that common packages are compiled once.
module devstack/containers/node-agent

go 1.26.8

require (
	github.com/vishvananda/netlink v1.3.1
	golang.org/x/sys v0.47.0
	google.golang.org/grpc v1.83.2
	k8s.io/kubelet v0.36.3
)

require (
	github.com/vishvananda/netns v0.0.5 // indirect
	golang.org/x/net v0.58.0 // indirect
	golang.org/x/text v0.41.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260526163538-3dc84a4a5aaa // indirect
	google.golang.org/protobuf v1.36.12-0.20260120151049-f2248ac996af // indirect
)
