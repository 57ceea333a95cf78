package io.tercel.server.grpc;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.memory.StoredTensors;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.proto.v1.GetModelResponse;
import io.tercel.proto.v1.ModelShape;
import io.tercel.proto.v1.TensorShape;
import java.util.Locale;

/** What new weights must fit, as a message. */
public final class ModelMessages {
  private ModelMessages() {}

  /**
   * Of a store; whoever has weights for another server's compares this with what that one says.
   *
   * @param instance of the process that has the store
   */
  public static GetModelResponse of(WeightStore store, String instance) {
    GetModelResponse.Builder model =
        GetModelResponse.newBuilder()
            .setInstance(instance)
            .setWeightVersion(store.version())
            .setShape(shape(store.config()));
    StoredTensors stored = store.tensors();
    for (String name : stored.matrices()) {
      PackedMatrix matrix = stored.matrix(name);
      if (matrix != null) {
        model.addTensors(
            TensorShape.newBuilder()
                .setName(name)
                .setFormat(matrix.format().label())
                .setRows(matrix.rows())
                .setCols(matrix.cols())
                .setReordered(matrix.inputOrder() != null));
      }
    }
    for (String name : stored.vectors()) {
      float[] vector = stored.vector(name);
      if (vector != null) {
        model.addTensors(
            TensorShape.newBuilder()
                .setName(name)
                .setFormat("fp32")
                .setRows(1)
                .setCols(vector.length));
      }
    }
    return model.build();
  }

  private static ModelShape shape(ModelConfig config) {
    return ModelShape.newBuilder()
        .setArchitecture(config.architecture().name().toLowerCase(Locale.ROOT))
        .setHiddenSize(config.hiddenSize())
        .setIntermediateSize(config.intermediateSize())
        .setNumHiddenLayers(config.numLayers())
        .setNumAttentionHeads(config.numHeads())
        .setNumKeyValueHeads(config.numKvHeads())
        .setHeadDim(config.headDim())
        .setVocabSize(config.vocabSize())
        .setRmsNormEps(config.rmsNormEps())
        .setRopeTheta(config.ropeTheta())
        .setMaxPositionEmbeddings(config.maxPositionEmbeddings())
        .setTieWordEmbeddings(config.tieWordEmbeddings())
        .addAllEosTokenId(config.eosTokenIds())
        .build();
  }
}
