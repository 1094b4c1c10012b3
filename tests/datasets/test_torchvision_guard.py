import subprocess
import sys


def test_import_works_beside_this_torch_and_gives_datasets_and_transforms():
    code = (
        "from sklenet.datasets.torchvision_guard import import_torchvision as load\n"
        "torchvision = load()\n"
        "assert load() is torchvision\n"
        "from torchvision.transforms import v2\n"
        "import torch\n"
        "assert v2.functional.rotate(torch.zeros(1, 8, 8), 30).shape == (1, 8, 8)\n"
        "assert torchvision.datasets.MNIST.__name__ == 'MNIST'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
