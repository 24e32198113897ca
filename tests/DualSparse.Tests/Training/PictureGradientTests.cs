using System.Text;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Pictures;
using DualSparse.Training;

namespace DualSparse.Tests.Training;

/// <summary>Gradients of vision-language models: tower, merger, deepstack, positions in time, rows and columns.</summary>
public class PictureGradientTests
{
    private const string Ids = """
        "image_token_id":19,"video_token_id":20,"vision_start_token_id":21,"vision_end_token_id":22
        """;

    private const string Text = """
        "text_config":{"vocab_size":23,"hidden_size":16,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":8,"intermediate_size":9,"moe_intermediate_size":7,"num_experts":5,"num_experts_per_tok":2,"rms_norm_eps":1e-5,"max_position_embeddings":64,"rope_theta":50
        """;

    // Configuration, and pictures: each one's window, first token, rows and columns of patches.
    public static TheoryData<string, int[]> Models => new()
    {
        {
            $$$$"""{"model_type":"qwen3_vl_moe","tie_word_embeddings":true,{{{{Ids}}}},{{{{Text}}}},"num_hidden_layers":3,"mlp_only_layers":[1],"rope_scaling":{"mrope_interleaved":true,"mrope_section":[2,1,1],"rope_type":"default"}},"vision_config":{"depth":3,"deepstack_visual_indexes":[0,2],"hidden_size":12,"hidden_act":"gelu_pytorch_tanh","num_heads":3,"intermediate_size":11,"in_channels":3,"patch_size":2,"temporal_patch_size":1,"spatial_merge_size":2,"num_position_embeddings":9,"out_hidden_size":16}}""",
            [0, 1, 4, 6, 1, 0, 2, 2, 1, 5, 2, 4, 1, 12, 2, 2]
        },
        {
            $$$$"""{"model_type":"qwen3_vl_moe",{{{{Ids}}}},{{{{Text}}}},"num_hidden_layers":1,"rope_scaling":{"mrope_interleaved":true,"mrope_section":[0,2,2],"rope_type":"default"}},"vision_config":{"depth":1,"deepstack_visual_indexes":[],"hidden_size":8,"hidden_act":"gelu_pytorch_tanh","num_heads":1,"intermediate_size":5,"in_channels":3,"patch_size":1,"temporal_patch_size":2,"spatial_merge_size":1,"num_position_embeddings":4,"out_hidden_size":16}}""",
            [0, 3, 2, 3, 1, 1, 1, 1]
        },
        {
            $$$$"""{"model_type":"qwen3_vl_moe",{{{{Ids}}}},{{{{Text}}}},"num_hidden_layers":2,"rope_scaling":{"mrope_interleaved":true,"mrope_section":[4,0,0],"rope_type":"default"}},"vision_config":{"depth":2,"deepstack_visual_indexes":[0,1],"hidden_size":16,"hidden_act":"gelu_pytorch_tanh","num_heads":2,"intermediate_size":6,"in_channels":3,"patch_size":1,"temporal_patch_size":1,"spatial_merge_size":3,"num_position_embeddings":1,"out_hidden_size":16}}""",
            [1, 2, 3, 6]
        },
    };

    [Theory]
    [MemberData(nameof(Models))]
    public void Gradients_are_the_losss_central_differences(string json, int[] pictures)
    {
        var config = ModelConfig.Parse(Encoding.UTF8.GetBytes(json), "config.json", null, "");
        CentralDifferences.Check(config, Batch(config, pictures), new LossCoefficients(0.05f, 0.01f));
    }

    [Fact]
    public void Neither_threads_nor_pictures_of_other_windows_change_a_bit()
    {
        var config = ModelConfig.Parse(Encoding.UTF8.GetBytes(Models.First().Data.Item1), "config.json", null, "");
        var batch = Batch(config, Models.First().Data.Item2);
        float[] Logits(WindowBatch some, int threads)
        {
            using var team = new ThreadTeam(threads);
            using var model = new TrainableModel(config, team, ProductFormat.F32);
            Initialisation.Fill(model.Parameters, config, 0.3, seed: 5, team);
            float[] logits = new float[some.Tokens * config.VocabSize];
            model.Forward(some, logits);
            return logits;
        }

        float[] whole = Logits(batch, 1);
        Assert.Equal(whole, Logits(batch, 3));
        Assert.Equal(whole.AsSpan(whole.Length / 2).ToArray(), Logits(batch.Slice(1, 1), 2));
        // Were pictures not read, this test would say nothing.
        Assert.NotEqual(whole, Logits(batch with { Pictures = [] }, 1));
    }

    [Fact]
    public void A_picture_outside_its_window_and_one_for_a_text_model_are_refused()
    {
        var config = ModelConfig.Parse(Encoding.UTF8.GetBytes(Models.First().Data.Item1), "config.json", null, "");
        using var team = new ThreadTeam(1);
        using var model = new TrainableModel(config, team, ProductFormat.F32);
        Assert.Contains("begins at token 14, expected it inside one of 3 texts of 30 tokens", Assert.Throws<ArgumentException>(() => model.Forward(Batch(config, [0, 14, 2, 4]))).Message);
        var text = ModelConfig.Parse(Encoding.UTF8.GetBytes("""{"model_type":"qwen3_moe","num_hidden_layers":1,"num_key_value_heads":1,"head_dim":4,"moe_intermediate_size":7,"num_experts":3,"num_experts_per_tok":2,"max_position_embeddings":32,"vocab_size":23,"hidden_size":16,"num_attention_heads":4}"""), "config.json", null, "");
        using var other = new TrainableModel(text, team, ProductFormat.F32);
        Assert.Contains("reads text only", Assert.Throws<ArgumentException>(() => other.Forward(Batch(config, [0, 1, 2, 4]))).Message);
    }

    // Two windows; what a picture's tokens are followed by isn't predicted from within it.
    private static WindowBatch Batch(ModelConfig config, int[] pictures)
    {
        const int windows = 2, length = 15;
        var vision = config.Vision!;
        var random = new Random(7);
        int[] inputs = [.. Enumerable.Range(0, windows * length).Select(_ => random.Next(vision.ImageToken))];
        int[] targets = [.. Enumerable.Range(0, windows * length).Select(i => i % length == length - 1 ? -1 : random.Next(config.VocabSize))];
        List<WindowPicture> all = [];
        foreach (int[] p in pictures.Chunk(4))
        {
            var grid = new PatchGrid(1, p[2], p[3]);
            all.Add(new WindowPicture(p[0] * length + p[1], new PicturePatches(grid, [.. Enumerable.Range(0, grid.Count * vision.PatchValues).Select(_ => 2 * random.NextSingle() - 1)])));
            for (int t = 0; t < grid.Tokens(vision.Merge) && p[1] + t < length; t++)
                (inputs[p[0] * length + p[1] + t], targets[p[0] * length + p[1] + t]) = (vision.ImageToken, -1);
        }

        // The second window has two texts.
        return new WindowBatch(windows, length, inputs, targets) { Pictures = all, Parts = [new(0, length), new(length, length - 4), new(2 * length - 4, 4)] };
    }
}
