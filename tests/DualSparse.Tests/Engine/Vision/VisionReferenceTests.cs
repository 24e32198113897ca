using DualSparse.Engine;
using DualSparse.Engine.Vision;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Pictures;
using DualSparse.Models.Safetensors;
using DualSparse.Tests.Engine.Reference;

namespace DualSparse.Tests.Engine.Vision;

/// <summary>Towers that no golden folder has, and texts with several pictures, against the formulas in double precision.</summary>
public class VisionReferenceTests
{
    private const string Ids = """
        "image_token_id":50,"video_token_id":51,"vision_start_token_id":52,"vision_end_token_id":53
        """;

    private const string Text = """{"vocab_size":57,"hidden_size":40,"num_hidden_layers":3,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":20,"intermediate_size":50,"moe_intermediate_size":21,"num_experts":6,"num_experts_per_tok":2""";

    /// <summary>Configurations, and the pictures of a text: each one's rows and columns of patches and the tokens before it.</summary>
    public static TheoryData<string, int[]> Cases => new()
    {
        {
            $$$$"""{"model_type":"qwen3_vl_moe",{{{{Ids}}}},"text_config":{{{{Text}}}},"rope_scaling":{"mrope_interleaved":true,"mrope_section":[4,3,3],"rope_type":"default"},"rope_theta":5000},"vision_config":{"depth":3,"deepstack_visual_indexes":[0,2],"hidden_size":24,"hidden_act":"gelu_pytorch_tanh","num_heads":3,"intermediate_size":37,"in_channels":3,"patch_size":3,"temporal_patch_size":1,"spatial_merge_size":2,"num_position_embeddings":25,"out_hidden_size":40}}""",
            [4, 6, 5, 2, 2, 0, 2, 14, 7]
        },
        {
            $$$$"""{"model_type":"qwen3_vl_moe",{{{{Ids}}}},"text_config":{{{{Text}}}},"rope_parameters":{"mrope_interleaved":true,"mrope_section":[0,5,5],"rope_type":"default","rope_theta":100}},"vision_config":{"depth":1,"deepstack_visual_indexes":[],"hidden_size":20,"hidden_act":"gelu_pytorch_tanh","num_heads":1,"intermediate_size":5,"in_channels":3,"patch_size":2,"temporal_patch_size":2,"spatial_merge_size":3,"num_position_embeddings":16,"out_hidden_size":40}}""",
            [3, 3, 0, 9, 6, 11]
        },
        {
            $$$$"""{"model_type":"qwen3_vl_moe","tie_word_embeddings":true,{{{{Ids}}}},"text_config":{{{{Text}}}},"rope_parameters":{"mrope_section":[8,1,1],"rope_theta":10000}},"vision_config":{"depth":4,"deepstack_visual_indexes":[1,2,3],"hidden_size":16,"hidden_act":"gelu_pytorch_tanh","num_heads":4,"intermediate_size":64,"in_channels":3,"patch_size":1,"temporal_patch_size":2,"spatial_merge_size":1,"num_position_embeddings":1,"out_hidden_size":40,"rope_parameters":{"rope_theta":100,"rope_type":"axial"}}}""",
            [1, 1, 3, 13, 11, 1]
        },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_logits_are_those_of_the_formulas(string config, int[] pictures)
    {
        using var folder = RandomModel.Write(config);
        using var checkpoint = Checkpoint.Open(folder.Path);
        var vision = checkpoint.Config.Vision!;
        var (ids, patches) = Sample(vision, pictures);
        var tower = new ReferenceTower(checkpoint);
        int[] firsts = [.. patches.Select((_, i) => Start(vision, pictures, i))];
        double[][] expected = new ReferenceTransformer(checkpoint, Rounding.None).Logits(ids, [.. patches.Select((p, i) => tower.Encode(p, firsts[i]))]);
        using var model = Transformer.Load(folder.Path, new EngineOptions { Weights = WeightFormat.F32, Threads = 2 });
        var placed = TextPictures.Of(ids, vision.ImageToken, [.. patches.Select(model.Encode)])!;
        foreach (int chunk in new[] { ids.Length, 7, 1 })
            Assert.InRange(Difference(expected, Logits(model, ids, placed, chunk)), 0, 1e-5);
        // Were a picture not read, this test would say nothing.
        Assert.True(Difference(expected, Logits(model, ids, null, ids.Length)) > 0.1);
    }

    /// <summary>A text with pictures of such sizes.</summary>
    internal static (int[] Ids, PicturePatches[] Patches) Sample(VisionConfig vision, int[] pictures, int seed = 3)
    {
        var random = new Random(seed);
        List<int> ids = [];
        List<PicturePatches> patches = [];
        foreach (int[] size in pictures.Chunk(3))
        {
            var grid = new PatchGrid(1, size[0], size[1]);
            ids.AddRange(Enumerable.Range(0, size[2]).Select(_ => random.Next(50)));
            ids.AddRange(Enumerable.Repeat(vision.ImageToken, grid.Tokens(vision.Merge)));
            patches.Add(new PicturePatches(grid, [.. Enumerable.Range(0, grid.Count * vision.PatchValues).Select(_ => 2 * random.NextSingle() - 1)]));
        }

        ids.AddRange(Enumerable.Range(0, 9).Select(_ => random.Next(50)));
        return ([.. ids], [.. patches]);
    }

    private static int Start(VisionConfig vision, int[] pictures, int index) =>
        pictures.Chunk(3).Take(index).Sum(size => size[2] + new PatchGrid(1, size[0], size[1]).Tokens(vision.Merge)) + pictures[3 * index + 2];

    private static double[][] Logits(Transformer model, int[] ids, TextPictures? pictures, int chunk)
    {
        using var cache = model.NewCache(ids.Length);
        List<double[]> logits = [];
        for (int first = 0; first < ids.Length; first += chunk)
        {
            var rows = model.Forward([new SequenceChunk(cache, ids.AsMemory(first, Math.Min(chunk, ids.Length - first)), LogitRows.All, Pictures: pictures)]);
            for (int i = 0; i < rows.Length; i += model.Config.VocabSize)
                logits.Add([.. rows.Slice(i, model.Config.VocabSize).ToArray().Select(x => (double)x)]);
        }

        return [.. logits];
    }

    private static double Difference(double[][] expected, double[][] logits) => Math.Sqrt(
        expected.SelectMany(row => row).Zip(logits.SelectMany(row => row), (a, b) => (a - b) * (a - b)).Sum() / expected.SelectMany(row => row).Sum(a => a * a));
}
