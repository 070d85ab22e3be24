"""Build the model, LMS first, load its weights, and go on training from a generator.

LMS comes before the weights. A session that sets weights first has taken over the graph: what LMS
then changes in it has no effect. TFLMS's own ResNet50 scripts have the two the other way round.
"""

from families.resnet50_generator.resnet50 import Resnet50


def main(resnet: Resnet50) -> None:
    model = resnet.build()
    lms = resnet.lms()
    lms.set_model(model)
    resnet.load_weights(model, resnet.input("checkpoints", "my_checkpoint"))
    print("weights loaded")
    resnet.digest(model, "restored")
    resnet.train(model, callbacks=[lms])
    resnet.finish(model)


if __name__ == "__main__":
    Resnet50.run(main)
