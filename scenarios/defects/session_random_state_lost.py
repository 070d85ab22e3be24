import numpy as np
import tensorflow.compat.v1 as tf  # 1.15, or 2 with its behaviour off

tf.disable_v2_behavior()
kept = tf.nn.dropout(tf.ones([8]), rate=0.5, seed=1)
step = tf.get_variable("step", initializer=0)
saver = tf.train.Saver()
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    masks = [session.run(kept) for _ in range(3)]
    saver.save(session, "random.ckpt")
    masks.append(session.run(kept))
with tf.Session() as session:
    saver.restore(session, "random.ckpt")
    resumed = session.run(kept)
print("TensorFlow", tf.__version__, "the fourth mask", masks[3], "after a restore", resumed)
print("it is the first again:", np.array_equal(resumed, masks[0]))
print("nothing lost" if np.array_equal(resumed, masks[3]) else "lost: the generator's position")
