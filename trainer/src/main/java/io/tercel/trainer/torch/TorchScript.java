package io.tercel.trainer.torch;

import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.nn.Block;
import ai.djl.training.ParameterStore;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Functions in PyTorch's own script language, which has what DJL's arrays lack: fused attention,
 * and whole layers in one call. A script is the text of a class without parameters, as
 * torch.jit.save would print it; its archive is made here.
 *
 * <p>Where gradients are recorded, calls are differentiated like any other operation.
 */
public final class TorchScript implements AutoCloseable {
  private static final String METHOD = "module_method:";

  private final Model model;
  private final Block block;
  private final ParameterStore none;

  private TorchScript(Model model, NDManager manager) {
    this.model = model;
    this.block = model.getBlock();
    this.none = new ParameterStore(manager, false);
  }

  /**
   * Compiles a script.
   *
   * @param resource where its text is: {@code /torch/NAME.py}, a class of the same name in capitals
   *     and small letters ("decoder" has Decoder)
   * @param manager a manager of {@link Torch}
   */
  public static TorchScript load(String resource, NDManager manager) {
    String name = resource.substring(resource.lastIndexOf('/') + 1, resource.lastIndexOf('.'));
    String className = Character.toUpperCase(name.charAt(0)) + name.substring(1);
    Model model = Model.newInstance(name, manager.getDevice(), "PyTorch");
    try (InputStream text = TorchScript.class.getResourceAsStream(resource)) {
      if (text == null) {
        throw new IllegalArgumentException("no resource " + resource);
      }
      model.load(new ByteArrayInputStream(archive(name, className, text.readAllBytes())));
      return new TorchScript(model, manager);
    } catch (IOException e) {
      model.close();
      throw new UncheckedIOException(e);
    } catch (ai.djl.MalformedModelException e) {
      model.close();
      throw new IllegalArgumentException(resource + ": " + e.getMessage(), e);
    }
  }

  /** Calls a method that returns one array, which belongs to the first argument's manager. */
  public NDArray call(String method, NDArray... arguments) {
    NDManager manager = arguments[0].getManager();
    NDList list = new NDList(arguments.length + 1);
    // not an argument: its name says which method is meant
    NDArray name = manager.create(0f);
    name.setName(METHOD + method);
    list.add(name);
    for (NDArray argument : arguments) {
      list.add(argument);
    }
    return block.forward(none, list, true).singletonOrThrow();
  }

  /** A zip archive, stored, as torch.jit.load reads it. */
  private static byte[] archive(String name, String className, byte[] text) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      zip.setMethod(ZipOutputStream.STORED);
      store(zip, name + "/data.pkl", pickle(className));
      store(zip, name + "/code/__torch__.py", text);
      store(zip, name + "/constants.pkl", new byte[] {(byte) 0x80, 2, ')', '.'});
      store(zip, name + "/version", "3\n".getBytes(StandardCharsets.US_ASCII));
    }
    return bytes.toByteArray();
  }

  /** An object of the class whose only state is training = false, in pickle's protocol 2. */
  private static byte[] pickle(String className) throws IOException {
    ByteArrayOutputStream to = new ByteArrayOutputStream();
    to.write(new byte[] {(byte) 0x80, 2});
    to.write(("c__torch__\n" + className + "\n").getBytes(StandardCharsets.US_ASCII));
    to.write(new byte[] {')', (byte) 0x81, '}', '(', 'X', 8, 0, 0, 0});
    to.write("training".getBytes(StandardCharsets.US_ASCII));
    to.write(new byte[] {(byte) 0x89, 'u', 'b', '.'});
    return to.toByteArray();
  }

  private static void store(ZipOutputStream zip, String name, byte[] content) throws IOException {
    ZipEntry entry = new ZipEntry(name);
    CRC32 crc = new CRC32();
    crc.update(content);
    entry.setSize(content.length);
    entry.setCompressedSize(content.length);
    entry.setCrc(crc.getValue());
    entry.setTime(0);
    zip.putNextEntry(entry);
    zip.write(content);
    zip.closeEntry();
  }

  @Override
  public void close() {
    model.close();
  }
}
