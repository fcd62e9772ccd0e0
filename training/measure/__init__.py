"""How good images and models are: PSNR, SSIM and LPIPS, evaluation on damaged input, the cost of a precision.

May import `training.networks` and `training.data`. Nothing here trains anything.
"""
