module devstack/images/curl

go 1.21
