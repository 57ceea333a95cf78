/** The model on a GPU, or any OpenCL device, through TornadoVM. Found by ServiceLoader. */
@NullMarked
package io.tercel.kernels.tornado;

import org.jspecify.annotations.NullMarked;
