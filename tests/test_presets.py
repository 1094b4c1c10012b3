from sklenet import LeNet5Classifier, presets


def test_presets_are_valid_parameters():
    LeNet5Classifier(**presets.pytorch_tutorial())._validate_params()
