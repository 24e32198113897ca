using DualSparse.Engine;
using DualSparse.Kernels;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Engine.Reference;

/// <summary>Configurations that no golden folder has, against the formulas in double precision: odd sizes and every field that changes the arithmetic.</summary>
public class ReferenceTests
{
    private const string Mixtral =
        """{"model_type":"mixtral","vocab_size":33,"hidden_size":48,"num_hidden_layers":2,"num_attention_heads":6,"num_key_value_heads":2,"head_dim":10,"intermediate_size":37,"num_local_experts":3,"num_experts_per_tok":2""";

    private const string DeepSeek =
        """{"model_type":"deepseek_v2","vocab_size":77,"hidden_size":44,"num_hidden_layers":2,"num_attention_heads":3,"kv_lora_rank":20,"v_head_dim":35,"intermediate_size":51,"moe_intermediate_size":21,"n_routed_experts":4,"num_experts_per_tok":2""";

    private const string ScMoe =
        """{"model_type":"scmoe","vocab_size":61,"hidden_size":40,"num_hidden_layers":4,"num_attention_heads":4,"num_key_value_heads":2,"intermediate_size":50,"moe_intermediate_size":33""";

    public static TheoryData<string> Configurations => new()
    {
        """{"model_type":"mixtral","vocab_size":33,"hidden_size":48,"num_hidden_layers":2,"num_attention_heads":6,"num_key_value_heads":2,"head_dim":10,"intermediate_size":37,"num_local_experts":3,"num_experts_per_tok":3,"sliding_window":5}""",
        """{"model_type":"mixtral","vocab_size":1,"hidden_size":2,"num_hidden_layers":1,"num_attention_heads":1,"num_key_value_heads":1,"intermediate_size":1,"num_local_experts":1,"num_experts_per_tok":1,"tie_word_embeddings":true}""",
        """{"model_type":"mixtral","vocab_size":97,"hidden_size":66,"num_hidden_layers":2,"num_attention_heads":3,"num_key_value_heads":1,"head_dim":50,"intermediate_size":129,"num_local_experts":5,"num_experts_per_tok":2,"sliding_window":1,"rope_scaling":{"type":"linear","factor":3.0},"rope_theta":10000}""",
        """{"model_type":"olmoe","vocab_size":101,"hidden_size":36,"num_hidden_layers":2,"num_attention_heads":6,"num_key_value_heads":3,"intermediate_size":65,"num_experts":7,"num_experts_per_tok":7,"clip_qkv":0.4,"attention_bias":true,"norm_topk_prob":true,"tie_word_embeddings":true}""",
        """{"model_type":"qwen2_moe","vocab_size":65,"hidden_size":40,"num_hidden_layers":4,"num_attention_heads":4,"num_key_value_heads":4,"intermediate_size":50,"moe_intermediate_size":33,"shared_expert_intermediate_size":70,"num_experts":4,"num_experts_per_tok":2,"decoder_sparse_step":2,"mlp_only_layers":[1],"use_sliding_window":true,"sliding_window":7,"max_window_layers":3}""",
        """{"model_type":"qwen3_moe","vocab_size":63,"hidden_size":31,"num_hidden_layers":3,"num_attention_heads":5,"num_key_value_heads":1,"head_dim":34,"intermediate_size":50,"moe_intermediate_size":1,"num_experts":9,"num_experts_per_tok":4,"decoder_sparse_step":2,"norm_topk_prob":true,"attention_bias":true,"use_sliding_window":true,"sliding_window":100,"rope_scaling":{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":64}}""",
        """{"model_type":"deepseek_v2","vocab_size":77,"hidden_size":44,"num_hidden_layers":3,"num_attention_heads":3,"kv_lora_rank":20,"q_lora_rank":13,"qk_nope_head_dim":14,"qk_rope_head_dim":6,"v_head_dim":35,"intermediate_size":51,"moe_intermediate_size":21,"n_routed_experts":12,"num_experts_per_tok":4,"n_shared_experts":3,"topk_method":"group_limited_greedy","n_group":4,"topk_group":2,"routed_scaling_factor":2.5,"first_k_dense_replace":1,"attention_bias":true,"rope_scaling":{"type":"yarn","factor":40.0,"original_max_position_embeddings":64,"mscale":0.7,"mscale_all_dim":0.9}}""",
        ScMoe + ""","num_experts":7,"num_experts_per_tok":3,"shortcut_position":1,"shared_expert":true,"shared_expert_intermediate_size":70,"combine":"cg2"}""",
        ScMoe + ""","num_experts":5,"num_experts_per_tok":2,"shortcut_position":3,"shared_expert":true,"combine":"cg1"}""",
        ScMoe + ""","num_experts":2,"num_experts_per_tok":1,"shortcut_position":3,"shared_expert":true,"combine":"cg2","routing":"dual"}""",
        ScMoe + ""","num_experts":6,"num_experts_per_tok":1,"routing":"dual","tie_word_embeddings":false}""",
        """{"model_type":"qwen2_moe","wiring":"farskip","vocab_size":65,"hidden_size":40,"num_hidden_layers":4,"num_attention_heads":4,"num_key_value_heads":2,"intermediate_size":50,"moe_intermediate_size":33,"shared_expert_intermediate_size":70,"num_experts":4,"num_experts_per_tok":2,"mlp_only_layers":[0]}""",
        """{"model_type":"mixtral","wiring":"farskip","vocab_size":61,"hidden_size":36,"num_hidden_layers":3,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":10,"intermediate_size":45,"num_local_experts":5,"num_experts_per_tok":2}""",
        DeepSeek + ""","qk_nope_head_dim":15,"qk_rope_head_dim":8}""",
        DeepSeek + ""","qk_nope_head_dim":14,"qk_rope_head_dim":66}""",
        DeepSeek + ""","qk_nope_head_dim":65,"qk_rope_head_dim":128}""",
        DeepSeek + ""","qk_nope_head_dim":260,"qk_rope_head_dim":4}""",
    };

    [Theory]
    [MemberData(nameof(Configurations))]
    public void The_logits_are_those_of_the_formulas(string config)
    {
        using var folder = RandomModel.Write(config);
        using var checkpoint = Checkpoint.Open(folder.Path);
        var random = new Random(5);
        int[] ids = [.. Enumerable.Range(0, 150).Select(_ => random.Next(checkpoint.Config.VocabSize))];
        // Latent attention takes a prompt's tokens one way, generated ones another.
        bool latent = checkpoint.Config.Attention.Mla is not null;
        var slopes = Expectation.Slopes(checkpoint, ids, absorbed: false);
        var ofGenerated = latent ? Expectation.Slopes(checkpoint, ids, absorbed: true) : slopes;
        foreach (var weights in Enum.GetValues<WeightFormat>())
        {
            using var model = Transformer.Load(folder.Path, new EngineOptions { Weights = weights, Threads = 2 });
            var prompt = new Expectation(checkpoint, weights, ids, absorbed: false, slopes);
            var generated = latent ? new Expectation(checkpoint, weights, ids, absorbed: true, ofGenerated) : prompt;
            prompt.Check(Logits(model, ids, 150, generated: false), $"{weights}, whole");
            prompt.Check(Logits(model, ids, 37, generated: false), $"{weights}, in chunks of 37");
            generated.Check(Logits(model, ids, 1, generated: true), $"{weights}, generated");
        }
    }

    // Implementations disagree: the configuration's ε here, which is another, would change every logit.
    [Fact]
    public void The_norms_of_latents_keep_their_own_epsilon()
    {
        using var folder = RandomModel.Write(DeepSeek + ""","qk_nope_head_dim":14,"qk_rope_head_dim":6,"q_lora_rank":13}""", (name, values) =>
        {
            // So small that ε weighs as much as they do.
            if (name.Contains("_a_proj", StringComparison.Ordinal))
            {
                foreach (ref float value in values.AsSpan())
                    value /= 1024;
            }
        });
        using var checkpoint = Checkpoint.Open(folder.Path);
        Assert.Equal((1e-6f, 1e-5f), (checkpoint.Config.Attention.Mla!.LatentNormEpsilon, checkpoint.Config.NormEpsilon));
        int[] ids = [.. Enumerable.Range(0, 40)];
        using var model = Transformer.Load(folder.Path, new EngineOptions { Weights = WeightFormat.F32, Threads = 2 });
        new Expectation(checkpoint, WeightFormat.F32, ids, absorbed: false, Expectation.Slopes(checkpoint, ids, absorbed: false)).Check(Logits(model, ids, 40, generated: false), "small latents");
    }

    // Weighed by zero it would still be a NaN: rows that don't see it must not change, later ones must.
    [Theory]
    [InlineData(WeightFormat.F32, false)]
    [InlineData(WeightFormat.Bf16, false)]
    [InlineData(WeightFormat.F32, true)]
    [InlineData(WeightFormat.Bf16, true)]
    public void A_damaged_token_is_seen_by_later_ones_only(WeightFormat weights, bool latent)
    {
        using var folder = RandomModel.Write(latent ? DeepSeek + ""","qk_nope_head_dim":14,"qk_rope_head_dim":6}""" : Mixtral + "}", (name, values) =>
        {
            if (name == "model.embed_tokens.weight")
                values[32 * (latent ? 44 : 48)] = float.NaN;
        });
        using var model = Transformer.Load(folder.Path, new EngineOptions { Weights = weights, Threads = 2 });
        using KvCache cache = model.NewCache(64), other = model.NewCache(64);
        float[] sound = model.Forward(cache, [1, 2, 3], LogitRows.All).ToArray();
        cache.Truncate(0);
        float[] spoilt = model.Forward(cache, [1, 2, 3, 32, 4], LogitRows.All).ToArray();
        Assert.Equal(sound, spoilt[..sound.Length]);
        Assert.All(spoilt[sound.Length..], logit => Assert.True(float.IsNaN(logit)));
        // What was taken back is gone.
        cache.Truncate(3);
        float[] further = model.Forward(cache, [7], LogitRows.All).ToArray();
        Assert.Equal(model.Forward(other, [1, 2, 3, 7]).ToArray(), further);
    }

    private static double[][] Logits(Transformer model, int[] ids, int chunk, bool generated)
    {
        using var cache = model.NewCache(ids.Length);
        List<double[]> logits = [];
        for (int first = 0; first < ids.Length; first += chunk)
        {
            var rows = model.Forward([new SequenceChunk(cache, ids.AsMemory(first, Math.Min(chunk, ids.Length - first)), LogitRows.All, generated)]);
            for (int i = 0; i < rows.Length; i += model.Config.VocabSize)
                logits.Add([.. rows.Slice(i, model.Config.VocabSize).ToArray().Select(x => (double)x)]);
        }

        return [.. logits];
    }
}
