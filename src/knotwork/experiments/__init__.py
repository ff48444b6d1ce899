"""Every figure and claim of both papers: experiments compute records and judge claims, they draw nothing."""
