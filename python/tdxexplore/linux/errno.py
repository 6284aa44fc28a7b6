"""What kernel functions return, as traces show it."""

OK = "0"
EIO = "-EIO"
EACCES = "-EACCES"
EBUSY = "-EBUSY"
EFAULT = "-EFAULT"
EINVAL = "-EINVAL"
