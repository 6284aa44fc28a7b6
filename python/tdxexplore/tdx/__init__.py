"""The TDX family: the module, the kernel around it, policies and scenarios. See `tdxexplore.tdx.policy`."""
