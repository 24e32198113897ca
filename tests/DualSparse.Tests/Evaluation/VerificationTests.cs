using DualSparse.Evaluation;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Tests.Engine;

namespace DualSparse.Tests.Evaluation;

/// <summary>Reference files that can't be compared with, in a sentence; what the comparison finds is in GoldenTests.</summary>
public class VerificationTests(GoldenModels models)
{
    [Theory]
    [InlineData(5, 1, "input_ids has 5 ids a row, expected at least 8")]
    [InlineData(9, 2, "greedy has the shape [2, 3], expected [1, ids]")]
    public void A_greedy_continuation_needs_its_prompt(int ids, int greedyRows, string sentence)
    {
        using var folder = new TemporaryFolder();
        using var loan = models.Borrow("olmoe");
        var model = loan.Model;
        int vocabulary = model.Config.VocabSize;
        TensorDeclaration[] tensors =
            [new("input_ids", TensorType.I32, 1, ids), new("logits", TensorType.F32, 1, ids, vocabulary), new("greedy", TensorType.I32, greedyRows, 3)];
        using (var writer = new SafetensorsWriter(folder.File("reference.safetensors"), tensors))
        {
            foreach (var tensor in tensors)
                writer.AppendBytes(tensor.Name, new byte[tensor.ByteLength]);
            writer.Commit();
        }

        Assert.Contains(sentence, Assert.Throws<ModelFormatException>(() => Verification.Compare(model, folder.File("reference.safetensors"))).Message);
    }
}
