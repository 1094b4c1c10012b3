import subprocess
import sys


def test_torchvision_is_imported_with_any_build_of_torch():
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
