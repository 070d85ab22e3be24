"""Train from a generator with LMS, save the whole model: layers, weights and optimizer."""

from families.resnet50_generator import resnet50


def main(resnet):
    model = resnet.build()
    resnet.train(model, callbacks=[resnet.lms()])
    resnet.digest(model, "saved", optimizer=True)
    model.save(resnet.output("my_resnet_model.h5"))
    print("model saved")


if __name__ == "__main__":
    resnet50.run(main)
