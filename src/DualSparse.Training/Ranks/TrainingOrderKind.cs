namespace DualSparse.Training.Ranks;

/// <summary>What ranks do together in training.</summary>
internal enum TrainingOrderKind
{
    /// <summary>There is nothing more to do.</summary>
    End,

    /// <summary>A run begins, or goes on: the model is made, and rank 0 sends its values.</summary>
    Begin,

    /// <summary>A step.</summary>
    Step,

    /// <summary>The loss of windows that are held out.</summary>
    HeldOut,

    /// <summary>Rank 0 gets what it lacks for a checkpoint.</summary>
    Gather,
}
